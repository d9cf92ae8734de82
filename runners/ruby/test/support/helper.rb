# frozen_string_literal: true

require "json"
require "minitest/autorun"
require "tmpdir"
require_relative "../../lib/stepweave_runner"
require_relative "child"
require_relative "project"

# A warning about the runner's own files is a failure.
module Warning
  def self.warn(message, **)
    raise message if message.include?("/runners/ruby/")

    super
  end
end

# So that the dots of a run that is ended are not lost.
$stdout.sync = true

RUNNER = File.expand_path("../..", __dir__)
# As in a step file, Set and the like need no require.
StepweaveRunner::Gems.autoload

VECTORS = File.expand_path("../../protocol/vectors", RUNNER)

def vectors(name) = JSON.parse(File.read(File.join(VECTORS, name)))

# A value in the tagged form of the vectors.
def untagged(tagged)
  kind, value = tagged.first
  case kind
  when "nil", "bool", "str" then value
  when "int" then Integer(value)
  when "float" then Float(value)
  when "bin" then [value].pack("H*")
  when "array" then value.map { |item| untagged(item) }
  when "map" then value.to_h { |key, item| [untagged(key), untagged(item)] }
  else raise "unknown tag #{kind}"
  end
end

# Ends the run when a test hangs, and says where.
module Watched
  # A guard, not a limit: nothing comes near it. In seconds.
  HANGS_S = Integer(ENV.fetch("STEPWEAVE_TEST_HANGS_S", "120"))

  def run
    watch = Thread.new do
      sleep(HANGS_S)
      hung
    end
    super
  ensure
    watch.kill
  end

  private

  def hung
    (Thread.list - [Thread.current]).each { |thread| tell(thread) }
    ObjectSpace.each_object(Child, &:tell_and_kill)
    # Last, since the end of a long log is what people see.
    STDERR.puts("", "#{self.class}##{name} hangs")
  ensure
    exit!(1)
  end

  def tell(thread)
    lines = (thread.backtrace || []).reject { |line| line.include?("minitest") }
    STDERR.puts("", thread.inspect, lines) unless lines.empty?
  end
end
Minitest::Test.prepend(Watched)

# Waits until the block says so. There is no limit: `Watched` has one.
def eventually
  Thread.pass until yield
end
