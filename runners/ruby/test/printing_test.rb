# frozen_string_literal: true

require_relative "support/helper"
require_relative "support/fake_scope"

class PrintingTest < Minitest::Test
  def test_every_way_to_print_becomes_a_record_of_the_step
    files = {"a.step.rb" => step(<<~'RUBY')}
      puts "puts", ["two", "lines"]
      print "print", "ed\n"
      p({a: 1}, :b)
      $stdout << "shov" << "ed\n"
      $stdout.printf("%s\n", "printf")
      $stdout.write("wri", "te\n")
      $stdout.syswrite("syswrite\n")
      putc "c"
      putc "\n"
      puts
      puts "  "
      pp [1]
      $stderr.puts "stderr"
      warn "warn"
      $stdout.flush
      print "no end of line"
    RUBY
    Child.with(files) do |child|
      id = child.event("a")
      child.answer(id)
      said = child.logs.map { |record| record.values_at("source", "level", "message") }
      out = %w[puts two lines printed {:a=>1} :b shoved printf write syswrite c [1]] << "no end of line"
      assert_equal out, said.filter_map { |source, _, message| message if source == "stdout" }
      assert_equal [%w[stderr warn stderr], %w[stderr warn warn]], said.select { |source, *| source == "stderr" }
      assert_equal ["info"], said.filter_map { |source, level, _| level if source == "stdout" }.uniq
      assert_equal [id], child.logs.map { |record| record["scope"] }.uniq
    end
  end

  def test_a_line_that_never_ends_leaves_in_pieces
    Child.with({"a.step.rb" => step("40_000.times { print '.' }")}) do |child|
      child.value("a")
      assert_equal [16_385, 16_385, 7_230], child.logs.map { |record| record["message"].size }
    end
  end

  def test_what_passes_by_the_language_arrives_on_stderr
    files = {"a.step.rb" => step(<<~'RUBY')}
      STDOUT.puts "to the constant"
      IO.for_fd(1, autoclose: false).syswrite("to descriptor 1\n")
      system("echo printed by a child process")
      system("cat", out: $stdout)
      $stdin.read
    RUBY
    Child.with(files) do |child|
      assert_equal "", child.value("a")
      assert_equal "to the constant\nto descriptor 1\nprinted by a child process\n", child.stderr
      assert_empty child.logs
    end
  end

  def test_prints_that_are_not_utf8_are_mended
    Child.with({"a.step.rb" => step('puts "\xff", "é".encode("ISO-8859-1"), "ž".b')}) do |child|
      child.value("a")
      assert_equal ["\uFFFD", "é", "ž"], child.logs.map { |record| record["message"] }
    end
  end

  def test_children_do_not_inherit_the_wire
    Child.with({"a.step.rb" => step("`ls -l /proc/self/fd`")}) do |child|
      listed = child.value("a")
      assert_includes listed, "/dev/null"
      child.wire.each { |pipe| refute_includes listed, "pipe:[#{pipe}]" }
    end
  end

  def test_a_forked_child_does_not_use_the_wire
    files = {"a.step.rb" => step(<<~RUBY)}
      in_block = fork do
        puts "printed in a fork"
        context.logger.info("logged in a fork")
        begin
          context.emit(topic: "t")
        rescue StepweaveError => e
          warn e.message
        end
        exit!(7)
      end
      first = Process.wait2(in_block).last.exitstatus
      pid = fork
      return "never seen" if pid.nil?

      [first, Process.wait2(pid).last.exitstatus]
    RUBY
    Child.with(files) do |child|
      assert_equal [7, 0], child.value("a")
      assert_equal({}, child.ask("ping", {}))
      assert_empty child.logs
      refusal = "a forked process cannot use the context of its parent"
      assert_equal ["printed in a fork", "logged in a fork", refusal], child.stderr.lines(chomp: true)
    end
  end

  # Each call prints in four ways and carries up to 1 MB in and out; one stray byte would end the session.
  def test_four_hundred_printing_calls_with_large_payloads
    files = {"a.step.rb" => step(<<~'RUBY')}
      puts "call #{input.n}"
      STDOUT.syswrite("constant #{input.n}\n")
      $stderr.print "error #{input.n}\n"
      system("echo child #{input.n}") if input.n % 20 == 0
      {n: input.n, text: input.text.reverse}
    RUBY
    sizes = [10, 1_000, 70_000, 1_000_000]
    Child.with(files) do |child|
      400.times.each_slice(20) do |numbers|
        texts = numbers.to_h { |number| [number, "#{number}é" + "x" * sizes[number % 4]] }
        ids = texts.to_h { |number, text| [number, child.event("a", {n: number, text: text})] }
        ids.each do |number, id|
          result = child.decode(child.answer(id))
          assert_equal number, result.n
          assert texts[number].reverse == result.text
        end
      end
      messages = child.logs.map { |record| record["message"] }
      assert_equal Array.new(400) { |number| ["call #{number}", "error #{number}"] }.flatten.sort, messages.sort
      lines = child.stderr.lines(chomp: true)
      assert_equal Array.new(400) { |number| "constant #{number}" }.sort, lines.grep(/constant/).sort
      assert_equal 20, lines.grep(/child/).size
    end
  end
end
