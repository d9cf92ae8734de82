# frozen_string_literal: true

require_relative "errors"

module StepweaveRunner
  # Decides which thread goes on when. Ruby runs one at a time, and passing on costs more than a short
  # handler does, so:
  #
  # 1. A job is taken by the thread that works already, when it is done with the one before.
  # 2. While jobs or answered calls wait, one thread is on its way, and only one. It gets to run as soon
  #    as the one that works blocks, and then calls up the next. So any number of jobs can block at once,
  #    and threads that are awake do not queue.
  # 3. A thread that was long on its way has met one that computes. The others are then called at once,
  #    to be served in one round.
  class Crew
    WHILE_WAITING = {Object => :on_blocking}.freeze

    # A handler is cancelled while it runs, and its thread not at all.
    WHILE_WORKING = {Cancelled => :never, Object => :immediate}.freeze

    # Longer on the way than this is late, in seconds.
    LATE_S = 0.005

    # What a call waits for.
    class Answer
      attr_accessor :value

      # Whether it is the one on its way.
      attr_accessor :coming

      attr_reader :state

      def initialize
        @gate = Thread::Queue.new
        @state = :waiting
        @coming = false
      end

      def wait = @gate.pop

      def call
        @state = :called
        @gate << true
      end

      def abandon
        @state = :abandoned
      end
    end

    # `perform` is called with each job, and `relieve` by a thread that takes over from others, which may
    # be blocked, and finds that no more are waiting.
    def initialize(perform, relieve)
      @perform = perform
      @relieve = relieve
      @lock = Mutex.new
      @wanted = ConditionVariable.new
      @jobs = []
      @answers = []
      @idle = 0
      @coming = false
      @called_at = 0
    end

    # Whether there is work that no thread has taken.
    def waiting? = !(@jobs.empty? && @answers.empty?)

    # Runs a job, sooner or later.
    def add(job)
      @lock.synchronize do
        @jobs << job
        call_up
      end
    end

    # Waits for an answer, in any thread, and returns its value. The thread may be interrupted meanwhile;
    # then the answer is dropped.
    def await(answer)
      Thread.handle_interrupt(WHILE_WAITING) { answer.wait }
      answer.value
    ensure
      @lock.synchronize { leave(answer) }
    end

    # Lets the thread that waits for the answer go on with it, sooner or later.
    def resume(answer, value)
      @lock.synchronize do
        next if answer.state == :abandoned

        answer.value = value
        @answers << answer
        call_up
      end
    end

    private

    # Calls the next thread, unless one is on its way.
    def call_up
      return if @coming

      if (answer = @answers.shift)
        answer.coming = true
        answer.call
      elsif @jobs.empty?
        return
      elsif @idle.positive? then @wanted.signal
      else Thread.new { work }
      end
      @coming = true
      @called_at = now
    end

    # The life of a thread. Ruby starts it as the child of whichever thread called it up, in its group and
    # with its interrupts held back.
    def work
      ThreadGroup::Default.add(Thread.current)
      @lock.synchronize { arrive(1) }
      Thread.handle_interrupt(WHILE_WORKING) do
        loop { @perform.call(take) }
      end
    end

    def take
      @lock.synchronize do
        while @jobs.empty?
          # It may have been called for a job that is taken, and kept others from being called.
          call_up
          rest
        end
        job = @jobs.shift
        call_up
        job
      end
    end

    def rest
      @idle += 1
      @wanted.wait(@lock)
    ensure
      @idle -= 1
      arrive(1)
    end

    def leave(answer)
      if answer.state == :waiting
        answer.abandon
        @answers.delete(answer)
      elsif answer.coming
        arrive(0)
        call_up
      end
    end

    # The thread that was on its way is there, for so many of the jobs.
    def arrive(taking)
      @coming = false
      @answers.shift.call until @answers.empty? || now - @called_at < LATE_S
      @relieve.call if @answers.empty? && @jobs.size <= taking
    end

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  end
end
