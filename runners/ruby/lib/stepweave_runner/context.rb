# frozen_string_literal: true

require_relative "deadline"
require_relative "emitter"
require_relative "logger"
require_relative "sse"
require_relative "state"
require_relative "streams"

module StepweaveRunner
  # What a handler gets as its context, read by method, symbol or text in either spelling:
  #
  #   context.logger, context[:logger], context["logger"], context.trace_id, context[:traceId]
  #
  # Middleware may add entries of its own: `context[:user] = user`, then `context.user`.
  class Context
    NAMES = {
      "emit" => :emitter, "logger" => :logger, "state" => :state, "streams" => :streams,
      "traceId" => :trace_id, "trace_id" => :trace_id, "flows" => :flows, "attempt" => :attempt,
      "events" => :events, "deadline" => :deadline
    }.freeze

    # The flows that the step's config lists.
    attr_reader :flows

    # Which try of this delivery it is, from 1.
    attr_reader :attempt

    def initialize(scope, step, params)
      @scope = scope
      @traceparent = params["trace"]
      @flows = step.flows
      @attempt = params["attempt"]
      @step = step.handle
      @params = params
    end

    # The 32 digits that all runs of one trace share.
    def trace_id = @trace_id ||= @traceparent.to_s[3, 32]
    alias_method :traceId, :trace_id

    def logger = @logger ||= Logger.new(@scope)

    def state = @state ||= State.new(@scope, trace_id)

    def streams = @streams ||= Streams.new(@scope)

    # Publishes an event and returns its id; without arguments, what can be called to do so.
    def emit(*event, **options)
      event.empty? && options.empty? ? emitter : emitter.call(*event, **options)
    end

    # Withdraws an event by the id that `emit` returned; returns how many deliveries will not run now.
    def cancel_event(id) = emitter.cancel(id)
    alias_method :cancelEvent, :cancel_event

    # Of a step that takes several events at once: {id, topic, attempt} for each item of its input.
    def events
      @events ||= (@params.dig("input", "events") || []).map do |one|
        Record.wrap({"id" => one["event"], "topic" => one["topic"], "attempt" => one["attempt"]})
      end
    end

    # The response of an API step that is a stream of server-sent events: a list or Enumerator of
    # {data:, event:, id:, retry:}, or a block that is given where to put them with `<<`.
    def sse(events = nil, headers: {}, &block) = Sse.response(events || (block && Enumerator.new(&block)), headers)

    # When the handler is cancelled if it still runs, as a Time; nil if never.
    def deadline = time_left.time

    # Milliseconds until the deadline, 0 when it has passed, infinity without one.
    def remaining_ms = time_left.remaining_ms
    alias_method :remainingMs, :remaining_ms

    # Whether the invocation was cancelled. Its handler is interrupted, so only a rescue or ensure
    # and threads of its own get to ask.
    def cancelled? = @scope.cancelled?

    # "timeout", "shutdown" or "client"; nil unless cancelled.
    def cancel_reason = @scope.cancel_reason

    def [](name)
      name = name.to_s
      return entries[name] if @entries&.key?(name)

      NAMES.key?(name) ? send(NAMES[name]) : nil
    end

    def []=(name, value)
      entries[name.to_s] = value
    end

    def fetch(name, *default)
      return self[name] if key?(name)
      return default.first unless default.empty?

      block_given? ? yield(name) : raise(KeyError, "the context has no #{name.inspect}")
    end

    def key?(name) = NAMES.key?(name.to_s) || !!@entries&.key?(name.to_s)

    def dig(name, *rest) = rest.empty? ? self[name] : self[name]&.dig(*rest)

    def to_h = (NAMES.keys + entries.keys).uniq.to_h { |name| [name.to_sym, self[name]] }

    # For `context => {logger:, state:}`.
    def deconstruct_keys(names)
      (names || to_h.keys).each_with_object({}) { |name, found| found[name] = self[name] if key?(name) }
    end

    def respond_to_missing?(name, include_all = false) = !!@entries&.key?(name.name) || super

    def method_missing(name, *arguments)
      @entries&.key?(name.name) && arguments.empty? ? @entries[name.name] : super
    end

    def inspect = "#<context, trace #{trace_id}>"

    private

    def emitter = @emitter ||= Emitter.new(@scope, @step)

    def time_left = @time_left ||= Deadline.new(@params["deadline_ms"], @scope.started)

    def entries = @entries ||= {}
  end
end
