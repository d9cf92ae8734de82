# frozen_string_literal: true

require_relative "errors"

module StepweaveRunner
  # Which msgpack codec the runner uses: the gem if it can be had, else our own. Bundler hides a gem
  # that is not in the project's Gemfile. STEPWEAVE_PURE_MSGPACK=1 asks for our own.
  module Msgpack
    def self.choose
      return pure if ENV["STEPWEAVE_PURE_MSGPACK"] == "1"

      require "msgpack"
      require_relative "gem_codec"
      [GemCodec, "gem"]
    rescue LoadError
      pure
    end

    def self.pure
      require_relative "pure_codec"
      [PureCodec, "pure"]
    end

    CODEC, NAME = choose

    # For one value at a time. Threads that code many keep a CODEC of their own.
    def self.pack(value) = CODEC.new.pack(value)

    # Raises Malformed unless the bytes are exactly one value.
    def self.unpack(bytes) = CODEC.new.unpack(bytes)
  end
end
