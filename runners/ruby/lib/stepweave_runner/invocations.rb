# frozen_string_literal: true

require_relative "context"
require_relative "reaper"
require_relative "request"
require_relative "response"
require_relative "scope"

module StepweaveRunner
  # Runs handlers, each in its scope, each answered exactly once.
  class Invocations
    # How long a cancelled handler may go on before its thread is ended, in seconds.
    PATIENCE_S = 5

    # What is answered when a handler never comes back, because it has ended its own thread.
    VANISHED = {
      "code" => "handler_failed", "type" => "ThreadError", "message" => "the handler ended the thread that ran it"
    }.freeze

    # `leave` is called with the SystemExit of a handler that ends the process.
    def initialize(peer, logs, failure, leave)
      @peer = peer
      @logs = logs
      @failure = failure
      @leave = leave
      @running = {}
      @lock = Mutex.new
      @ended = ConditionVariable.new
      @reaper = Reaper.new(PATIENCE_S)
      @ending = false
    end

    def any? = !@running.empty?

    # Takes an invocation on, so that it can be cancelled from now on.
    def open(id)
      @running[id] = Scope.new(id, @peer, @logs)
    end

    # Runs a step and answers.
    def run(scope, step, params)
      error = VANISHED
      result = nil
      scope.run do
        result = perform(scope, step, params)
        error = nil
      end
    rescue Refused => e
      error = e.error
    rescue SystemExit => e
      settle(scope)
      @leave.call(e) if scope.close
    rescue Exception => e
      error = @failure.describe(e)
    ensure
      finish(scope, error, result)
    end

    # Answers an invocation that cannot run.
    def refuse(scope, error) = finish(scope, error, nil)

    # Stops an invocation if it still runs.
    def cancel(id, reason)
      scope = @running[id]
      return unless scope&.cancel(reason)

      @reaper.watch(scope)
      @peer.refuse(id, {"code" => "cancelled", "message" => "the invocation was cancelled (#{reason})"})
    end

    # Waits until nothing runs, at most this long, then cancels what does.
    def wind_up(grace_ms)
      deadline = now + grace_ms / 1000.0
      @lock.synchronize do
        @ending = true
        while any? && (left = deadline - now).positive?
          @ended.wait(@lock, left)
        end
      end
      @running.keys.each { |id| cancel(id, "shutdown") }
    end

    private

    def perform(scope, step, params)
      raise Refused.handler("MissingHandler", "#{step.handle} has no handler") unless step.handler?

      kind = params["kind"]
      input = read(kind, params["input"])
      input = step.parsing.apply(input, params["input"]) { |text| scope.log("warn", text) }
      value = step.run(kind, input, Context.new(scope, step, params))
      kind == "api" ? Response.encode(value, scope) : kept(scope, step, value)
    end

    def read(kind, given)
      Request.read(kind, given)
    rescue StepweaveError => e
      raise Refused, {"code" => e.code, "message" => "the input: #{e.message}"}
    end

    # What an event or cron handler gave, for people to see; nil if it cannot travel.
    def kept(scope, step, value)
      value.nil? ? nil : Values.encode(value)
    rescue StepweaveError => e
      scope.log("debug", "the result of #{step.handle} is not kept: #{e.message}")
      nil
    end

    def finish(scope, error, result)
      settle(scope)
      return unless scope.close

      error ? @peer.refuse(scope.id, error) : @peer.answer(scope.id, result)
    rescue StepweaveError => e
      @peer.refuse(scope.id, {"code" => e.code, "message" => e.message})
    ensure
      forget(scope)
    end

    def settle(scope)
      [$stdout, $stderr].each { |output| output.settle(scope) if output.is_a?(Output) } if scope.held?
    end

    # A cancelled invocation is answered before its thread has ended, and its id may be in use again.
    def forget(scope)
      @lock.synchronize do
        @running.delete(scope.id) if @running[scope.id].equal?(scope)
        @ended.broadcast if @running.empty?
      end
    end

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
