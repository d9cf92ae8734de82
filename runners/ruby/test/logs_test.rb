# frozen_string_literal: true

require_relative "support/helper"

class LogsTest < Minitest::Test
  Line = Struct.new(:waiting) do
    def abandoned? = false
  end

  Peer = Struct.new(:connection, :said) do
    def notify(_method, record, flush: false) = said << record
  end

  def setup
    @peer = Peer.new(Line.new(0), [])
    @logs = StepweaveRunner::Logs.new(@peer)
    @slept = []
    slept = @slept
    @logs.define_singleton_method(:sleep) { |_seconds| slept << Thread.current }
  end

  def test_when_many_wait_debug_is_dropped_first_and_counted
    [1_000, 1_001, 3_000, 30_000].each do |waiting|
      @peer.connection.waiting = waiting
      %w[debug info warn error].each { |level| @logs.write(1, level, "#{level} at #{waiting}") }
    end
    kept = ["debug at 1000", "info at 1000", "warn at 1000", "error at 1000", "info at 1001", "warn at 1001",
      "error at 1001", "warn at 3000", "error at 3000", "error at 30000"]
    assert_equal kept, @peer.said.map { |record| record["message"] }
    assert_equal 6, @peer.said.sum { |record| record.fetch("dropped", 0) }
  end

  def test_a_thread_that_says_too_much_is_held_up_but_not_the_reader
    @peer.connection.waiting = 2_000
    @logs.write(1, "error", "main")
    thread = Thread.new { @logs.write(1, "error", "other") }
    thread.join
    assert_equal [thread], @slept
  end
end
