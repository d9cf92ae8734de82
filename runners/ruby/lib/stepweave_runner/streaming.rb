# frozen_string_literal: true

require_relative "errors"
require_relative "text"
require_relative "values"

module StepweaveRunner
  # Answers in parts: a body that is an Enumerator or IO, sent as fast as its client reads.
  module Streaming
    # Bytes of one write; a longer part is sent in several.
    MOST = 1 << 20

    # Whether a body gives its parts one by one: an Enumerator, an IO, or an object that only has `each`.
    def self.stream?(body)
      case body
      when Hash, Array, String, Struct then false
      when Enumerator, IO then true
      else body.respond_to?(:each) && (!body.is_a?(Enumerable) || body.respond_to?(:read))
      end
    end

    # Sends head and body, in the handler's thread; whatever happens, the body is closed.
    def self.send_parts(scope, status, headers, body)
      begun = scope.call("response.start", {"status" => status, "headers" => headers})
      return if begun && begun["wanted"] == false

      body.each { |part| write(scope, encoded(part)) }
    ensure
      body.close if body.respond_to?(:close)
    end

    class << self
      private

      def write(scope, data)
        return scope.call("response.write", {"data" => data}) if data.bytesize <= MOST

        0.step(data.bytesize - 1, MOST) do |start|
          scope.call("response.write", {"data" => data.byteslice(start, MOST)})
        end
      end

      def encoded(part)
        return Values.encode_json(part)[1] + "\n".b unless part.is_a?(String)

        part.encoding == Encoding::BINARY ? part : Text.utf8(part).b
      rescue StepweaveError => e
        raise StepweaveError.new(e.code, "a part of the response: #{e.message}")
      end
    end
  end
end
