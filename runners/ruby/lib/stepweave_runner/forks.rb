# frozen_string_literal: true

module StepweaveRunner
  # Children that a handler forks: the wire is their parent's, and they belong to no scope.
  module Forks
    # Shuts the connection in every child that is forked from now on.
    def self.guard(connection)
      Process.singleton_class.prepend(Module.new do
        define_method(:_fork) do
          pid = super()
          if pid.zero?
            connection.abandon
            ThreadGroup::Default.add(Thread.current)
          end
          pid
        end
      end)
    end
  end
end
