# frozen_string_literal: true

module StepweaveRunner
  # The project's gems. Comes before every require of the runner, since Bundler cannot choose the
  # version of a gem that is already active.
  module Gems
    GEMFILES = %w[Gemfile gems.rb].freeze

    # Constants that step files use without a require, and what defines them.
    AUTOLOADS = {
      Base64: "base64",
      BigDecimal: "bigdecimal",
      CGI: "cgi",
      CSV: "csv",
      Date: "date",
      DateTime: "date",
      Digest: "digest",
      ERB: "erb",
      FileUtils: "fileutils",
      Logger: "logger",
      Net: "net/http",
      Open3: "open3",
      OpenSSL: "openssl",
      OpenStruct: "ostruct",
      Pathname: "pathname",
      PP: "pp",
      Psych: "psych",
      SecureRandom: "securerandom",
      Set: "set",
      Shellwords: "shellwords",
      StringIO: "stringio",
      Tempfile: "tempfile",
      Timeout: "timeout",
      URI: "uri",
      YAML: "yaml",
      Zlib: "zlib"
    }.freeze

    # Why the project's Gemfile could not be used, as a sentence; nil if it could or there is none.
    def self.problem = @problem

    # The file that decides which gems there are, or nil.
    def self.gemfile = @gemfile

    # The files that decide which gems there are.
    def self.files = @gemfile ? [@gemfile, "#{@gemfile}.lock"] : []

    def self.decides?(path) = files.include?(path)

    # Uses the project's Gemfile if there is one. What is wrong with it is told by `problem`, and not
    # raised: it is each step's to fail with, once somebody listens.
    #
    # Not `require "bundler/setup"`, which may start the process anew and lose the wire.
    def self.setup(root)
      @gemfile = ENV["BUNDLE_GEMFILE"] || GEMFILES.map { |name| File.join(root, name) }.find { |path| File.file?(path) }
      return if @gemfile.nil?

      ENV["BUNDLE_GEMFILE"] = @gemfile
      require "bundler"
      Bundler.setup
    rescue LoadError, StandardError, SystemExit => e
      @problem = "#{@gemfile}: #{e.message.strip.lines.first.to_s.strip.delete_suffix(".")}; run: bundle install"
    end

    # Lets step files use what they forgot to require.
    def self.autoload
      AUTOLOADS.each { |name, feature| Object.autoload(name, feature) unless Object.const_defined?(name) }
    end
  end
end
