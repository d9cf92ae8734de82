# frozen_string_literal: true

require_relative "text"

module StepweaveRunner
  # Log records of one scope: a message, and fields as keywords or a hash.
  #
  #   logger.info("order placed", order_id: order.id)
  #   logger.error("payment failed", error)
  class Logger
    def initialize(scope)
      @scope = scope
    end

    def debug(message = nil, fields = nil, **more, &block) = say("debug", message, fields, more, &block)

    def info(message = nil, fields = nil, **more, &block) = say("info", message, fields, more, &block)

    def warn(message = nil, fields = nil, **more, &block) = say("warn", message, fields, more, &block)
    alias_method :warning, :warn

    def error(message = nil, fields = nil, **more, &block) = say("error", message, fields, more, &block)

    alias_method :log, :info

    def inspect = "#<logger>"

    private

    # The message may also come from a block, be an error, or follow the fields.
    def say(level, message, fields, more)
      message = yield if message.nil? && block_given?
      message, fields = fields, message if fields.is_a?(String) && !message.is_a?(String)
      fields = message if fields.nil? && message.is_a?(Exception)
      @scope.log(level, worded(message), merged(fields, more))
      nil
    end

    def worded(message)
      case message
      when String then message
      when Exception then Text.utf8(message.message)
      when Symbol then message.name
      else message.inspect
      end
    end

    def merged(fields, more)
      return fields if more.empty?

      fields.nil? ? more : {**(fields.is_a?(Hash) ? fields : {data: fields}), **more}
    end
  end
end
