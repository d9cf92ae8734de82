# frozen_string_literal: true

# Runs every test in this folder, once with the msgpack gem and once with the runner's own codec:
#
#   ruby runners/ruby/test/run.rb [options of minitest, such as -n /cancel/ or --seed 1]
#
# The last line sums both up.

require "open3"
require "rbconfig"

SUMMARY = /^(\d+) runs, (\d+) assertions, (\d+) failures, (\d+) errors, (\d+) skips$/
LOAD_ALL = 'Dir[File.join(ARGV.shift, "*_test.rb")].sort.each { |file| require file }'

# What failed runs printed, by their names.
FAILED = {}

# How much of that is repeated at the end, in lines.
REPEATED = 60

# A gate judges a change by the same order each time.
GATE = ENV["CI"] && !ARGV.include?("--seed") ? %w[--seed 1] : []

def run(name, environment)
  puts "# with #{name}"
  total = nil
  Open3.popen2e(environment, RbConfig.ruby, "-w", "-e", LOAD_ALL, __dir__, *GATE, *ARGV) do |input, output, process|
    input.close
    text = +""
    # As it comes: where a run hangs, its dots tell how far it got.
    until output.eof?
      print(piece = output.readpartial(4096))
      text << piece
    end
    total = $~.captures.map(&:to_i) if SUMMARY.match(text)
    total ||= [0, 0, 0, 1, 0]
    total[3] += 1 unless process.value.success? || total[2..3].sum.positive?
    FAILED[name] = text unless total[2..3].sum.zero?
  end
  total
end

def gem?
  require "msgpack"
  true
rescue LoadError
  false
end

$stdout.sync = true
totals = [run("the runner's own msgpack", {"STEPWEAVE_PURE_MSGPACK" => "1"})]
if gem?
  totals << run("the msgpack gem", {"STEPWEAVE_PURE_MSGPACK" => nil})
else
  puts "# not with the msgpack gem, which is not installed"
end
# Behind a long log its end is what people see.
FAILED.each { |name, text| puts "# failed with #{name}:", text.lines.last(REPEATED) } if totals.size > 1
sum = totals.transpose.map(&:sum)
puts "ruby runner: %d runs, %d assertions, %d failures, %d errors, %d skips" % sum
exit(sum[2..3].sum.zero?)
