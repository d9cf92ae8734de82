# frozen_string_literal: true

require_relative "errors"
require_relative "record"
require_relative "text"

module StepweaveRunner
  # `validate: 'parse'`: what the schema objects of a config make of a request.
  #
  # A schema object answers `json_schema` and `call`, as a dry-schema does; the result of `call` has
  # success?, to_h and errors. A schema that is a hash has nothing to run.
  module Parsing
    # Where it looks, as an issue names it; the field of the request; the keys of the config.
    PARTS = [
      ["path", "pathParams", %w[paramsSchema params_schema]],
      ["query", "queryParams", %w[querySchema query_schema]],
      ["body", "body", %w[bodySchema body_schema]]
    ].freeze
    MOST_ISSUES = 100

    # [place, field, schema] for each schema that can be run, in the order of path, query, body.
    def self.parsers(config)
      PARTS.filter_map do |place, field, keys|
        schema = keys.filter_map { |key| config.fetch(key) { config[key.to_sym] } }.first
        [place, field, schema] if schema.respond_to?(:json_schema) && schema.respond_to?(:call)
      end
    end

    # Puts the parsed values into the request. Raises Refused with every issue.
    def self.apply(parsers, request)
      issues = parsers.flat_map do |place, field, schema|
        result = schema.call(request[field])
        next issues_of(result.errors.to_h, place, []) unless result.success?

        request[field] = Record.wrap(result.to_h)
        []
      end
      return if issues.empty?

      raise Refused, {
        "code" => "invalid_input", "message" => "the request does not fit its schemas",
        "data" => {"issues" => issues.first(MOST_ISSUES)}
      }
    end

    # Errors are lists of texts, within hashes by name and index.
    def self.issues_of(errors, place, path)
      case errors
      when Hash
        errors.flat_map do |key, inner|
          issues_of(inner, place, [*path, key.is_a?(Integer) ? key : key.to_s])
        end
      when Array then errors.flat_map { |inner| issues_of(inner, place, path) }
      else [{"in" => place, "path" => path, "message" => Text.utf8(errors.to_s)}]
      end
    end
    private_class_method :issues_of
  end
end
