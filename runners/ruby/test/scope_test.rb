# frozen_string_literal: true

require_relative "support/helper"

class ScopeTest < Minitest::Test
  include StepweaveRunner

  # Answers what a scope asks of its peer.
  class FakePeer
    attr_reader :calls

    def call(method, params)
      (@calls ||= []) << [method, params]
      :result
    end
  end

  def setup
    @peer = FakePeer.new
    @scope = Scope.new(7, @peer, nil)
  end

  def test_calls_carry_the_scope
    assert_equal :result, @scope.call("state.get", {"key" => "k"})
    assert_equal [["state.get", {"key" => "k", "scope" => 7}]], @peer.calls
  end

  def test_it_is_closed_once
    assert @scope.close
    refute @scope.close
    refute @scope.cancel("client")
    error = assert_raises(StepweaveError) { @scope.call("emit", {}) }
    assert_equal "unknown_scope", error.code
  end

  def test_it_is_current_in_its_threads_and_fibers_while_it_runs
    seen = in_scope { [Scope.current, Thread.new { Scope.current }.value, Fiber.new { Scope.current }.resume] }
    assert_equal [@scope] * 3, seen
    assert_nil Scope.current
  end

  def test_cancelling_interrupts_the_handler
    started = Thread::Queue.new
    thread = thread do
      @scope.run do
        started << true
        sleep
      end
    end
    started.pop
    assert @scope.cancel("timeout")
    thread.join
    assert_equal [true, "timeout", true], [@scope.cancelled?, @scope.cancel_reason, @scope.closed?]
    error = assert_raises(StepweaveError) { @scope.call("emit", {}) }
    assert_equal "cancelled", error.code
  end

  def test_a_handler_that_swallows_its_cancel_is_ended
    started, ended = Thread::Queue.new, Thread::Queue.new
    thread = thread do
      @scope.run do
        started << true
        loop { Thread.pass }
      rescue Exception
        started << true
        retry
      ensure
        ended << true
      end
    end
    started.pop
    @scope.cancel("timeout")
    2.times { started.pop }
    Reaper.new(0).watch(@scope)
    thread.join
    assert ended.pop
    assert_nil @scope.kill
  end

  def test_a_cancelled_scope_does_not_run
    @scope.cancel("client")
    thread { @scope.run { flunk } }.join
  end

  def test_an_interrupt_that_comes_too_late_is_taken_away
    thread = thread do
      # As if the cancel came after the handler and before the scope is left.
      @scope.instance_variable_set(:@thread, Thread.current)
      @scope.cancel("client")
      assert_predicate Thread, :pending_interrupt?
      @scope.send(:leave, ThreadGroup.new)
      refute_predicate Thread, :pending_interrupt?
      Scope.new(8, @peer, nil).run { :undisturbed }
    end
    assert_equal :undisturbed, thread.value
  end

  def test_what_the_handler_raises_passes_through
    assert_raises(ArgumentError) { in_scope { raise ArgumentError } }
    assert_nil Scope.current
  end

  private

  # As the crew runs its jobs.
  def thread(&block) = Thread.new { Thread.handle_interrupt(Cancelled => :never, &block) }

  def in_scope(&block)
    thread = thread { @scope.run(&block) }
    thread.report_on_exception = false
    thread.value
  end
end
