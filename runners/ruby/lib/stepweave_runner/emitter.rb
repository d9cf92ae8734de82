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
  # Options: id (for deduplication), message_group_id or group, delay (ms), delay_seconds, at (a Time,
  # Unix ms or ISO 8601 text), and priority (-1000 to 1000).
  class Emitter
    OPTIONS = %w[
      topic data id group message_group_id messageGroupId delay delay_ms delayMs delay_seconds delaySeconds
      at priority
    ].flat_map { |name| [name, name.to_sym] }.to_h { |name| [name, true] }.freeze
    SHOWN = "topic, data, id, message_group_id, group, delay, delay_seconds, at, priority"
    MOST = 1 << 53
    DAY = /\A(\d{4})-(\d\d)-(\d\d)\z/
    MOST_WARNINGS = 1000
    WARNED = {}

    private_constant :OPTIONS, :SHOWN, :MOST, :DAY, :MOST_WARNINGS, :WARNED

    # `step` is the handle of the step that emits.
    def initialize(scope, step)
      @scope = scope
      @step = step
    end

    # Returns the event's id once the event is accepted. Raises TypeError without a topic.
    def call(event = nil, **options)
      raise TypeError, refusal(event) unless event.respond_to?(:to_h)

      event = event.to_h.merge(options)
      topic = given(event, :topic)
      raise TypeError, refusal(event) if topic.nil? || topic.to_s.empty?

      params = {"topic" => Text.name(topic, "topic"), "data" => data(event)}
      event.each_key { |key| ignore(key) unless OPTIONS.key?(key) }
      add_options(params, event)
      @scope.call("emit", params)["event"]
    end
    alias_method :[], :call

    # Withdraws an event, given by the id that `call` returned, and returns how many of its deliveries
    # will not run now. Those that have run or run just now are not among them. In an atomic step that is
    # not known before its end, and nil.
    def cancel(id)
      raise TypeError, "cancel_event needs the id that emit gave, but got #{id.inspect}" unless id.is_a?(String)

      @scope.call("event.cancel", {"event" => id})
    end

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
      group = given(event, :message_group_id, :messageGroupId, :group)
      params["group"] = Text.name(group, "group") unless group.nil?
      delay = delay_ms(event)
      params["delay_ms"] = delay unless delay.nil?
      at = given(event, :at)
      params["at"] = unix_ms(at) unless at.nil?
      priority = given(event, :priority)
      params["priority"] = checked(priority) unless priority.nil?
    end

    def delay_ms(event)
      delay = given(event, :delay, :delay_ms, :delayMs)
      return whole("delay", delay, 1) unless delay.nil?

      seconds = given(event, :delay_seconds, :delaySeconds)
      whole("delay_seconds", seconds, 1000) unless seconds.nil?
    end

    def whole(name, value, factor)
      return (value * factor).round if value.is_a?(Numeric) && value.real? && value.abs < MOST

      raise TypeError, "emit takes #{name} as a number, not #{value.inspect}"
    end

    def checked(priority)
      return priority if priority.is_a?(Integer) && priority.between?(-1000, 1000)

      raise TypeError, "emit takes priority as a whole number from -1000 to 1000, not #{priority.inspect}"
    end

    # Says once per step and key that an option does nothing, since it may be misspelled.
    def ignore(key)
      once = [@step, key.to_s]
      return if WARNED.key?(once) || WARNED.size >= MOST_WARNINGS

      WARNED[once] = true
      @scope.log("warn", "emit has no option \"#{key}\", which was ignored; it takes #{SHOWN}")
    end

    def unix_ms(at)
      case at
      when Numeric then whole("at", at, 1)
      when DAY then (Time.new(*at.scan(/\d+/).map(&:to_i)).to_r * 1000).round
      when String then (Time.iso8601(at).to_r * 1000).round
      else (at.to_time.to_r * 1000).round
      end
    rescue ArgumentError, NoMethodError
      raise TypeError, "emit takes at as a Time, ISO 8601 text or Unix ms, not #{at.inspect}"
    end

    def refusal(event)
      got = event.respond_to?(:keys) ? event.keys.join(", ") : event.inspect
      got = "nothing" if got.empty?
      "emit needs a topic: emit.call(topic: \"order.created\", data: {…}), but got #{got}"
    end
  end
end
