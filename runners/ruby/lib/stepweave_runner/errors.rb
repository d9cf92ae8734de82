# frozen_string_literal: true

# An error with a code of the protocol; `data` holds facts that a program can use. Refused context
# calls raise it, so it has a short name at the top: `rescue StepweaveError => e`, then `e.code`.
class StepweaveError < StandardError
  attr_reader :code, :data

  def initialize(code, message, data = nil)
    super(message)
    @code = code
    @data = data
  end
end

module StepweaveRunner
  # Raised in a handler whose invocation was cancelled. Not a StandardError, so that a plain
  # `rescue => error` does not swallow it.
  class Cancelled < Exception
    attr_reader :scope

    def initialize(scope)
      super("the invocation was cancelled: #{scope.cancel_reason}")
      @scope = scope
    end
  end

  # A file cannot be loaded, for a reason of the runner's. `file` is what the author should look at.
  class LoadFailed < StandardError
    attr_reader :file

    def initialize(message, file)
      super(message)
      @file = file
    end
  end

  # A request is to be answered with this error map.
  class Refused < StandardError
    attr_reader :error

    def initialize(error)
      super(error["message"])
      @error = error
    end

    # What a handler did wrong without raising anything.
    def self.handler(type, message) = new({"code" => "handler_failed", "type" => type, "message" => message})
  end

  # The bytes of a frame are not one msgpack value; the stream cannot be trusted any more.
  class Malformed < StandardError; end
end
