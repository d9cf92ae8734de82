# frozen_string_literal: true

require "time"
require_relative "text"
require_relative "values"

module StepweaveRunner
  # Publishes events of one scope:
  #
  #   emit.call(topic: "order.created", data: order)
  #   emit.({topic: "order.created", data: order, id: order.id, delay_seconds: 5})
  #
  # Options: id (for deduplication), group or message_group_id, delay (ms), delay_seconds, and at
  # (a Time, Unix ms or ISO 8601 text).
  class Emitter
    def initialize(scope)
      @scope = scope
    end

    # Returns {"event" => id} once the event is accepted. Raises TypeError without a topic.
    def call(event = nil, **options)
      event = event.nil? ? options : event.to_h.merge(options)
      topic = given(event, :topic)
      raise TypeError, refusal(event) if topic.nil? || topic.to_s.empty?

      params = {"topic" => Text.name(topic, "topic"), "data" => data(event)}
      add_options(params, event)
      Record.wrap(@scope.call("emit", params))
    end
    alias_method :[], :call

    def to_proc = method(:call).to_proc

    def inspect = "#<emit>"

    private

    # The option under any of its names, as symbol or text.
    def given(event, *names)
      names.each do |name|
        value = event.fetch(name) { event[name.name] }
        return value unless value.nil?
      end
      nil
    end

    def data(event)
      return unless event.key?(:data) || event.key?("data")

      Values.encode(event.fetch(:data) { event["data"] })
    end

    def add_options(params, event)
      id = given(event, :id)
      params["id"] = Text.name(id, "id") unless id.nil?
      group = given(event, :group, :message_group_id, :messageGroupId)
      params["group"] = Text.name(group, "group") unless group.nil?
      delay = delay_ms(event)
      params["delay_ms"] = delay.round unless delay.nil?
      at = given(event, :at)
      params["at"] = unix_ms(at) unless at.nil?
    end

    def delay_ms(event)
      seconds = given(event, :delay_seconds, :delaySeconds)
      seconds.nil? ? given(event, :delay, :delay_ms, :delayMs) : seconds * 1000
    end

    def unix_ms(at)
      case at
      when Numeric then at.round
      when String then (Time.iso8601(at).to_r * 1000).round
      else (at.to_time.to_r * 1000).round
      end
    end

    def refusal(event)
      got = event.empty? ? "nothing" : event.keys.join(", ")
      "emit needs a topic: emit.call(topic: \"order.created\", data: {…}), but got #{got}"
    end
  end
end
