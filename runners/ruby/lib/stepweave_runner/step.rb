# frozen_string_literal: true

require_relative "call"
require_relative "errors"
require_relative "world"
require_relative "parsing"
require_relative "request"

module StepweaveRunner
  # One revision of a step file, as it was loaded: its config and functions.
  class Step
    GUARDS = %w[canAccess can_access].freeze
    AUTHENTICATORS = %w[streamAuth stream_auth].freeze

    attr_reader :handle, :revision, :path, :flows, :config, :parsing

    # `definitions` is the module that holds what the file defines.
    def initialize(handle, revision, path, definitions)
      @handle = handle
      @revision = revision
      @path = path
      @definitions = definitions
      @world = World.of(definitions, path)
      @given = read_config
      @middleware = @layers = Array(value("middleware")).map { |function| callable(function) }
      @handler = constant(:HANDLER)
      @has_handler = !@handler.nil? || defines?(:handler)
      @flows = Array(value("flows")).map(&:to_s).freeze
      @taken = taken
      @parsing = Parsing.new(@given)
      @config = @given.reject { |key, _| ["middleware", *GUARDS, *AUTHENTICATORS].include?(key.to_s) }
    end

    # Which functions the file has, in the words of the protocol.
    def exports
      found = []
      found << "handler" if handler?
      found << "canAccess" if can_access
      found << "middleware" unless @middleware.empty?
      found << "streamAuth" if stream_auth
      found
    end

    def handler? = @has_handler

    # Whether it answers requests.
    def api? = value("type").to_s == "api"

    # Puts functions around those of the step itself.
    def surround(functions)
      @layers = functions + @middleware
    end

    # Runs the handler, in the middle of its middleware. A cron handler with one parameter takes the
    # context, any other the input.
    def run(kind, input, context)
      return call(kind, input, context) if @layers.empty?

      through(@layers, 0, input, context) { |request| call(kind, request, context) }
    end

    # Asks the author's function whether a client may subscribe (canAccess), or who it is (streamAuth).
    # Raises Refused if the file has no such function.
    def authorize(kind, input)
      case kind
      when "canAccess" then !!ask(can_access, kind, input["subscription"], input["auth"])
      when "streamAuth" then ask(stream_auth, kind, input)
      else raise StepweaveError.new("invalid_params", "kind must be canAccess or streamAuth, but it is #{kind}")
      end
    end

    private

    def read_config
      given = constant(:CONFIG)
      given = @world.send(:config) if given.nil? && defines?(:config)
      given = given.call while given.respond_to?(:call)
      given = given.to_h if !given.nil? && !given.is_a?(Hash) && given.respond_to?(:to_h)
      return given if given.is_a?(Hash)

      # A file that says who the clients of streams are needs none.
      return {} if given.nil? && AUTHENTICATORS.any? { |name| defines?(name) }

      none = "the file has no config: define a method config that returns a hash"
      raise LoadFailed.new(given.nil? ? none : "config must be a hash, but it is a #{given.class}", @path)
    end

    # Each run has an object of its own for instance variables.
    def call(kind, input, context)
      function = @handler
      if @taken == 2
        function ? function.call(input, context) : @world.dup.send(:handler, input, context)
      elsif @taken == 1
        given = kind == "cron" ? context : input
        function ? function.call(given) : @world.dup.send(:handler, given)
      else
        function ? function.call : @world.dup.send(:handler)
      end
    end

    def through(functions, index, request, context, &handler)
      return yield(request) if index == functions.size

      following = lambda do |changed = request, *|
        through(functions, index + 1, Request.of(changed), context, &handler)
      end
      Call.with(functions[index], request, context, following)
    end

    def taken
      return 2 unless handler?

      Call.takes(@handler || @world.method(:handler), 2)
    end

    def can_access = function(GUARDS)

    def stream_auth = function(AUTHENTICATORS)

    def ask(function, kind, *arguments)
      raise Refused.handler("MissingHandler", "#{@handle} has no #{kind}") if function.nil?

      Call.with(function, *arguments)
    end

    def function(names)
      given = names.filter_map { |name| value(name) }.first
      return callable(given) if given

      name = names.find { |candidate| defines?(candidate) }
      name && @world.method(name)
    end

    # A middleware may be named by a symbol.
    def callable(function)
      return @world.method(function) if function.is_a?(Symbol) || function.is_a?(String)
      return function if function.respond_to?(:call)

      raise LoadFailed.new("the config has #{function.inspect} where a function should be", @path)
    end

    def value(name) = @given.fetch(name) { @given[name.to_sym] }

    def defines?(name) = World.defines?(@definitions, name)

    def constant(name) = World.constant(@definitions, name)
  end
end
