# frozen_string_literal: true

module StepweaveRunner
  # Keeps what user code prints off the wire:
  #
  # 1. `guard` moves the wire away from descriptors 0 and 1, before anything else is loaded.
  # 2. `capture` gives what handlers print to their step.
  #
  # Requires nothing at the top: see exe/stepweave-runner.
  module Console
    # Returns the two ends of the wire where they are now, [input, output]. Child processes do not
    # inherit them. Afterwards 0 reads the null device and 1 writes to stderr.
    def self.guard
      input = STDIN.dup.binmode
      output = STDOUT.dup.binmode
      STDIN.reopen(File::NULL)
      STDOUT.reopen(STDERR)
      STDOUT.sync = true
      [input, output]
    end

    # Makes $stdout and $stderr write records of the running scope. What is printed outside of
    # handlers, by child processes or to the constants STDOUT and STDERR, goes to stderr as it is.
    def self.capture
      require_relative "output"
      $stdout = Output.new("stdout", "info", STDOUT)
      $stderr = Output.new("stderr", "warn", STDERR)
    end
  end
end
