# frozen_string_literal: true

require_relative "text"

module StepweaveRunner
  # Turns what stands for a schema in a config into JSON Schema: anything that answers `json_schema`,
  # such as a dry-schema with its extension. Hashes, JSON Schema and shorthand alike, stay as they are.
  module Schemas
    # Returns [config, warnings]. A schema that cannot be turned is left out, with a warning.
    def self.convert(config)
      warnings = []
      [visit(config, "", warnings), warnings]
    end

    class << self
      private

      def visit(value, path, warnings)
        case value
        when Hash
          value.to_h { |key, item| [key, visit(item, path.empty? ? key.to_s : "#{path}.#{key}", warnings)] }
        when Array
          value.each_with_index.map { |item, index| visit(item, "#{path}[#{index}]", warnings) }
        else value.respond_to?(:json_schema) ? schema(value, path, warnings) : value
        end
      end

      def schema(value, path, warnings)
        value.json_schema
      rescue StandardError => e
        warnings << "#{path} is not checked: its json_schema failed: #{Text.utf8(e.message)}"
        nil
      end
    end
  end
end
