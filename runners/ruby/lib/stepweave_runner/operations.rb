# frozen_string_literal: true

require_relative "values"

module StepweaveRunner
  # The changes that `update` takes, in their form on the wire (SPEC 9.25).
  module Operations
    POSITION = /\A(?:0|[1-9]\d*)\z/

    # From one operation or a list of them: {op (or type), path, value}, keys as symbols or text.
    # Raises TypeError for one without op.
    def self.encode(ops)
      ops = [ops] unless ops.is_a?(Array)
      ops.map { |operation| one(operation.respond_to?(:to_h) ? operation.to_h.transform_keys(&:to_s) : {}) }
    end

    class << self
      private

      def one(operation)
        op = operation["op"] || operation["type"]
        if op.nil?
          raise TypeError, "an update needs {op:, path:, value:}, such as {op: \"set\", path: \"name\", value: \"Ann\"}"
        end

        encoded = {"op" => op.to_s, "path" => path(operation["path"])}
        encoded["value"] = Values.encode(operation["value"]) if operation.key?("value")
        encoded
      end

      # "items.0.name" or a list of keys and positions; nothing is the value itself.
      def path(given)
        case given
        when nil then []
        when Array then given.map { |part| part.is_a?(Integer) ? part : Text.name(part, "path") }
        else Text.name(given, "path").split(".").map { |part| POSITION.match?(part) ? part.to_i : part }
        end
      end
    end
  end
end
