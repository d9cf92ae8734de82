# frozen_string_literal: true

require_relative "errors"
require_relative "record"
require_relative "text"

module StepweaveRunner
  # `validate: 'parse'`: what the schema objects of a config make of a handler's input.
  #
  # A schema object answers `json_schema` and `call`, as a dry-schema does; the result of `call` has
  # success?, to_h and errors. A schema that is a hash has nothing to run.
  class Parsing
    # Where it looks, as an issue names it; the field of the request; the keys of the config.
    PARTS = [
      ["path", "pathParams", %w[paramsSchema params_schema]],
      ["query", "queryParams", %w[querySchema query_schema]],
      ["body", "body", %w[bodySchema body_schema]]
    ].freeze
    INPUT = ["input", nil, %w[input]].freeze
    MOST_ISSUES = 100
    MOST_TOLD = 5

    # `config` is a step's, with keys as text or symbols.
    def initialize(config)
      @config = config
      kind = value("type").to_s
      @reads = %w[api event].include?(kind)
      parts = (kind == "event") ? [INPUT] : PARTS
      @parsers = parts.filter_map do |place, field, keys|
        schema = keys.filter_map { |key| value(key) }.first
        [place, field, schema] if schema.respond_to?(:json_schema) && schema.respond_to?(:call)
      end
    end

    # For a config that asks for parsing and has nothing that could.
    def warning
      return unless @reads && value("validate").to_s == "parse" && @parsers.empty?

      "validate: 'parse' has no effect: none of the schemas is an object that parses"
    end

    # What the handler gets for `input`, which was read of `given`. Raises Refused with every issue;
    # where data may be handed over as it came, they are told to the block instead.
    def apply(input, given)
      how = given["parse"]
      return input unless how == true || how == "warn"

      issues = []
      @parsers.each do |place, field, schema|
        if field
          input[field] = part(schema, input[field], place, issues)
        elsif given["events"]
          input = input.each_with_index.map { |data, index| part(schema, data, place, issues, [index]) }
        else
          input = part(schema, input, place, issues)
        end
      end
      return input if issues.empty?
      raise Refused, refusal(issues) if how == true

      told = issues.first(MOST_TOLD).map { |issue| text(issue) }.join("; ")
      yield "the data does not match input and is handed over as it came: #{told}"
      input
    end

    private

    def value(key) = @config.fetch(key) { @config[key.to_sym] }

    # What the schema makes of a value; the value itself, and issues, if it does not fit.
    def part(schema, value, place, issues, path = [])
      result = schema.call(value)
      return Record.wrap(result.to_h) if result.success?

      issues.concat(issues_of(result.errors.to_h, place, path))
      value
    end

    # Errors are lists of texts, within hashes by name and index.
    def issues_of(errors, place, path)
      case errors
      when Hash
        errors.flat_map do |key, inner|
          issues_of(inner, place, [*path, key.is_a?(Integer) ? key : key.to_s])
        end
      when Array then errors.flat_map { |inner| issues_of(inner, place, path) }
      else [{"in" => place, "path" => path, "message" => Text.utf8(errors.to_s)}]
      end
    end

    def refusal(issues)
      {
        "code" => "invalid_input", "message" => "the input does not fit its schemas",
        "data" => {"issues" => issues.first(MOST_ISSUES)}
      }
    end

    # An issue in one line, such as "pet.tags[0] must be text".
    def text(issue)
      parts = issue["path"].map { |part| part.is_a?(Integer) ? "[#{part}]" : ".#{part}" }
      place = parts.join.delete_prefix(".")
      place.empty? ? issue["message"] : "#{place} #{issue["message"]}"
    end
  end
end
