# frozen_string_literal: true

require_relative "deadline"
require_relative "errors"

module StepweaveRunner
  # One running invocation: what its handler's calls have in common. Its threads are a ThreadGroup:
  # the one that runs the handler, and so every thread that the handler starts.
  class Scope
    # Guards every scope; what it is held for takes no time.
    LOCK = Mutex.new

    RUNNING = {}.compare_by_identity
    INTERRUPTIBLE = {Cancelled => :immediate}.freeze

    private_constant :LOCK, :RUNNING, :INTERRUPTIBLE

    # The running scope of the current thread, or nil.
    def self.current
      scope = RUNNING[Thread.current.group]
      scope unless scope.nil? || scope.closed?
    end

    attr_reader :id, :cancel_reason

    # When the invocation came, on Deadline's clock.
    attr_reader :started

    def initialize(id, peer, logs)
      @id = id
      @peer = peer
      @logs = logs
      @started = Deadline.now
      @closed = false
      @cancel_reason = nil
      @thread = nil
      @held = nil
    end

    def closed? = @closed

    def cancelled? = !@cancel_reason.nil?

    # What was printed without an end of line yet, by source.
    def held = @held ||= {}

    def held? = !@held.nil? && !@held.empty?

    # Runs the block as this scope, in the current thread. What it raises passes through, except that
    # it ends silently when the scope is cancelled.
    def run(&handler)
      group = ThreadGroup.new.add(Thread.current)
      RUNNING[group] = self
      LOCK.synchronize { @thread = Thread.current unless @closed }
      Thread.handle_interrupt(INTERRUPTIBLE, &handler) if @thread
    rescue Cancelled => e
      raise unless e.scope.equal?(self)
    ensure
      leave(group)
    end

    # Closes the scope; true for the one caller that may answer the invocation.
    def close
      LOCK.synchronize { !@closed && (@closed = true) }
    end

    # Closes the scope and stops its handler; true if the caller is to answer the invocation.
    def cancel(reason)
      LOCK.synchronize do
        return false if @closed

        @cancel_reason = reason
        @closed = true
        @thread&.raise(Cancelled.new(self))
        true
      end
    end

    # Ends the thread of a handler that goes on although it was cancelled. No `rescue` holds it up, and
    # its `ensure` blocks run.
    def kill
      LOCK.synchronize { @thread&.kill }
    end

    # Calls the orchestrator for this scope; `scope` is set in `params` here. Raises StepweaveError if
    # the scope is closed or the call is refused.
    def call(method, params)
      raise late(method) if @closed

      params["scope"] = @id
      @peer.call(method, params)
    end

    # Whether the orchestrator takes answers in parts.
    def streaming? = @peer.streaming

    # Says a record of this scope, or of none once it is closed.
    def log(level, message, fields = nil, source = nil)
      @logs.write(@closed ? nil : @id, level, message, fields, source)
    end

    # Not the invocation's threads and locks.
    def inspect = "#<#{self.class.name} #{@id}>"

    private

    # A cancel that came at the very end has not been raised yet; it must not hit the next handler.
    # Not `pending_interrupt?(Cancelled)`, which crashes Ruby 3.1: it takes the pending object for a class.
    def leave(group)
      RUNNING.delete(group)
      LOCK.synchronize { @thread = nil }
      return unless cancelled? && Thread.pending_interrupt?

      Thread.handle_interrupt(INTERRUPTIBLE) { Thread.pass }
    rescue Cancelled
      nil
    end

    def late(method)
      return StepweaveError.new("cancelled", "#{method} after the invocation was cancelled") if cancelled?

      StepweaveError.new(
        "unknown_scope",
        "#{method} after the handler had answered; wait for every thread that makes calls before it returns"
      )
    end
  end
end
