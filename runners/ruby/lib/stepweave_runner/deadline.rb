# frozen_string_literal: true

module StepweaveRunner
  # When the time of an invocation is up.
  class Deadline
    # The clock that `started` is read from, in seconds.
    def self.now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

    # `ms` is what was left at `started`; nil means that there is no end.
    def initialize(ms, started)
      @ends = ms.nil? ? Float::INFINITY : started + ms / 1000.0
    end

    # The point in time, in UTC; nil if there is none.
    def time
      @time ||= Time.now.utc + (@ends - Deadline.now) unless @ends.infinite?
    end

    # Whole milliseconds that are left, 0 when it has passed, infinity without an end.
    def remaining_ms
      @ends.infinite? ? @ends : [((@ends - Deadline.now) * 1000).round, 0].max
    end
  end
end
