# frozen_string_literal: true

module StepweaveRunner
  # The end of a process that leaves as `exit` does.
  #
  # Ruby then waits for every thread that it has killed, without an end: one that blocks in an `ensure`, or
  # holds its interrupts back, would keep the process. So threads are ended here, and have some time.
  module Leave
    # In seconds.
    PATIENCE_S = 0.5

    # To be called before user code is loaded: what that asks for with at_exit then comes first.
    def self.guard
      owner = Process.pid
      at_exit { end_threads($!) if Process.pid == owner }
    end

    # Ends every other thread. If one stays, ends the process, for the reason that is given.
    def self.end_threads(reason)
      Thread.handle_interrupt(Object => :never) do
        threads = Thread.list - [Thread.current]
        threads.each(&:kill)
        limit = now + PATIENCE_S
        next if threads.all? { |thread| ended?(thread, limit) }

        flush
        force(reason)
      end
    end

    class << self
      private

      def ended?(thread, limit)
        thread.join([limit - now, 0].max)
        !thread.alive?
      rescue Exception
        # What its `ensure` raised is nobody's any more.
        true
      end

      # What Ruby does with open files at its end.
      def flush
        ObjectSpace.each_object(IO) do |io|
          io.flush unless io.closed?
        rescue SystemCallError, IOError
          nil
        end
      end

      def force(reason)
        case reason
        when nil then exit!(0)
        when SystemExit then exit!(reason.status)
        when SignalException
          Signal.trap(reason.signo, "SYSTEM_DEFAULT")
          Process.kill(reason.signo, Process.pid)
        else
          STDERR.write(reason.full_message)
        end
        exit!(1)
      end

      def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    end
  end
end
