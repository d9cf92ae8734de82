# frozen_string_literal: true

require_relative "text"
require_relative "values"

module StepweaveRunner
  # Server-sent events: the response whose body is a list or Enumerator of events.
  module Sse
    FIELDS = %w[event id retry data].freeze
    HEADERS = {
      "content-type" => "text/event-stream",
      "cache-control" => "no-cache",
      # Else nginx keeps events back.
      "x-accel-buffering" => "no"
    }.freeze

    # Each event is {data:, event:, id:, retry:} or a text. Raises ArgumentError for what has no `each`.
    def self.response(events, headers)
      if !events.respond_to?(:each) || events.is_a?(Hash)
        raise ArgumentError, "sse needs a list or Enumerator of events, or a block"
      end

      body = Enumerator.new { |out| events.each { |event| out << written(event) } }
      {status: 200, headers: HEADERS.merge(headers.to_h.transform_keys { |name| name.to_s.downcase }), body: body}
    end

    class << self
      private

      def written(event)
        fields = event.is_a?(Hash) ? event.to_h.transform_keys(&:to_s) : {"data" => event}
        unknown = fields.keys - FIELDS
        unless unknown.empty? && fields.any?
          raise ArgumentError, "an event has data, event, id and retry, not #{event.inspect.slice(0, 80)}"
        end

        FIELDS.filter_map { |name| lines(name, fields[name]) if fields.key?(name) }.join + "\n"
      end

      def lines(name, value)
        text = text(value)
        return text.split("\n", -1).then { |all| all.empty? ? [""] : all }.map { |line| "data: #{line}\n" }.join if name == "data"
        return if value.nil?
        raise ArgumentError, "the #{name} of an event is one line, not #{text.inspect.slice(0, 80)}" if text.match?(/[\n\0]/)
        if name == "retry" && !text.match?(/\A\d+\z/)
          raise ArgumentError, "the retry of an event is in whole milliseconds, not #{text.inspect.slice(0, 80)}"
        end

        "#{name}: #{text}\n"
      end

      def text(value)
        text = value.is_a?(String) ? Text.utf8(value) : Values.encode_json(value)[1].dup.force_encoding(Encoding::UTF_8)
        text.gsub(/\r\n?/, "\n")
      end
    end
  end
end
