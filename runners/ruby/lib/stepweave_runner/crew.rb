# frozen_string_literal: true

require_relative "errors"

module StepweaveRunner
  # Threads that run jobs, kept for the next job.
  #
  # 1. A job is taken by the thread that works already, when it is done with the one before. Waking
  #    a thread costs more than a short handler does.
  # 2. One more thread is always on its way while jobs wait. It gets to run as soon as the one that
  #    works blocks, and then calls up the next. So any number of jobs can block at once.
  class Crew
    # `perform` is called with each job, `relieve` whenever a thread has nothing more to do or
    # takes over from one that may be blocked.
    def initialize(perform, relieve)
      @perform = perform
      @relieve = relieve
      @lock = Mutex.new
      @wanted = ConditionVariable.new
      @jobs = []
      @idle = 0
      @coming = false
    end

    def add(job)
      @lock.synchronize do
        @jobs << job
        call_up
      end
    end

    private

    def call_up
      return if @coming

      @coming = true
      @idle.positive? ? @wanted.signal : Thread.new { work }
    end

    def work
      @lock.synchronize { @coming = false }
      @relieve.call
      # A handler is interrupted while it runs, and the thread not at all.
      Thread.handle_interrupt(Cancelled => :never) do
        loop do
          @perform.call(take)
          @relieve.call if @jobs.empty?
        end
      end
    end

    # The next job, sooner or later.
    def take
      @lock.synchronize do
        wait while @jobs.empty?
        job = @jobs.shift
        call_up unless @jobs.empty?
        job
      end
    end

    def wait
      @idle += 1
      @wanted.wait(@lock)
      @relieve.call
    ensure
      @idle -= 1
      @coming = false
    end
  end
end
