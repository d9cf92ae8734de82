# frozen_string_literal: true

require_relative "deadline"

module StepweaveRunner
  # Ends the handlers that go on some time after they were cancelled, so that they do not take the
  # others' turns for ever.
  class Reaper
    # `patience_s` is how long they may go on, in seconds.
    def initialize(patience_s)
      @patience_s = patience_s
      @queue = Thread::Queue.new
      @lock = Mutex.new
      @thread = nil
    end

    # Sees to it that the handler of a cancelled scope comes to its end.
    def watch(scope)
      @queue << [scope, Deadline.now + @patience_s]
      @lock.synchronize { @thread ||= Thread.new { work } }
    end

    private

    def work
      ThreadGroup::Default.add(Thread.current)
      loop do
        scope, due = @queue.pop
        left = due - Deadline.now
        sleep(left) if left.positive?
        scope.kill
      end
    end
  end
end
