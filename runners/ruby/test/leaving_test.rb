# frozen_string_literal: true

require_relative "support/helper"

class LeavingTest < Minitest::Test
  SLEEPS = step("context.logger.info('begun')\nsleep\nensure\nsleep")
  WAITS = step("context.state.get('g', 'k')")
  COMPUTES = step("puts 'begun'\nloop {}")
  HOOK = "at_exit { STDERR.puts 'hook' }\n"

  def test_the_end_of_its_input_is_enough
    Child.with({}) { |child| assert_equal 0, child.close.exitstatus }
    [SLEEPS, WAITS, COMPUTES].each do |source|
      Child.with({"a.step.rb" => source}) do |child|
        child.event("a")
        child.read
        assert_equal 0, child.close.exitstatus
      end
    end
  end

  def test_it_answers_a_shutdown_and_leaves_with_the_pipe
    Child.with({"a.step.rb" => HOOK + step("1")}) do |child|
      assert_nil child.ask("shutdown", {"grace_ms" => 1000})
      assert_equal "shutting_down", child.answer(child.event("a"))["code"]
      assert_equal({}, child.ask("ping", {}))
      assert_equal 0, child.close.exitstatus
      assert_equal "hook\n", child.stderr
    end
  end

  def test_a_running_handler_may_finish
    Child.with({"a.step.rb" => WAITS}) do |child|
      id = child.event("a")
      call = child.call
      shutdown = child.request("shutdown", {"grace_ms" => 60_000})
      assert_equal "shutting_down", child.answer(child.event("a"))["code"]
      child.reply(call) { ["json", "5".b] }
      assert_equal 5, child.decode(child.answer(id))
      assert_nil child.answer(shutdown)
    end
  end

  def test_after_the_grace_handlers_are_cancelled
    Child.with({"a.step.rb" => SLEEPS}) do |child|
      id = child.event("a")
      child.records(1)
      shutdown = child.request("shutdown", {"grace_ms" => 20})
      assert_equal "cancelled", child.answer(id)["code"]
      assert_nil child.answer(shutdown)
    end
  end

  def test_exit_ends_the_process_with_its_status
    ways = {"exit 3" => 3, "exit" => 0, "abort 'enough'" => 1, "exit!(4)" => 4, "Thread.new { exit 5 }.join" => 5}
    ways.each do |source, status|
      Project.with({"a.step.rb" => HOOK + step("puts 'last words'\n#{source}")}) do |project|
        child = Child.new(project)
        child.load("a.step.rb")
        child.event("a")
        assert_raises(EOFError) { loop { child.read } }
        assert_equal status, child.status.exitstatus, source
        messages = child.logs.map { |record| record["message"] }
        if source.include?("!")
          assert_equal "", child.stderr
        else
          assert_equal "last words", messages.first, source
          assert_equal "hook\n", child.stderr, source
        end
        assert_includes messages, "enough" if source.include?("enough")
      end
    end
  end

  # Ruby waits without an end for threads that do not end when they are killed.
  def test_threads_that_never_end_hold_nobody_up
    stubborn = ["Thread.handle_interrupt(Object => :never) { Thread.new { sleep } }"]
    stubborn << "Thread.new do\n$begun = true\nsleep\nensure\nsleep\nend\nThread.pass until $begun"
    stubborn.each do |thread|
      files = {"a.step.rb" => HOOK + step("#{thread}\nFile.new('kept.txt', 'w') << 'kept'\nexit 3 if input")}
      Child.with(files) do |child, project|
        child.event("a", true)
        assert_equal 3, child.status.exitstatus
        assert_equal "hook\n", child.stderr
        assert_equal "kept", File.read(project.path("kept.txt"))
      end
      Child.with(files) do |child|
        child.value("a")
        child.ask("shutdown", {"grace_ms" => 1000})
        assert_equal 0, child.close.exitstatus
        assert_equal "hook\n", child.stderr
      end
      Child.with(files) do |child|
        child.value("a")
        Process.kill(:TERM, child.pid)
        assert_equal Signal.list["TERM"], child.status.termsig
      end
    end
  end

  def test_it_ends_by_signal
    Child.with({"a.step.rb" => SLEEPS}) do |child|
      Process.kill(:TERM, child.pid)
      assert_equal Signal.list["TERM"], child.status.termsig
    end
  end

  def test_an_error_in_a_thread_of_the_handlers_does_not_end_it
    Child.with({"a.step.rb" => step("Thread.new { raise 'lost' }.join\nrescue RuntimeError\n1")}) do |child|
      assert_equal 1, child.value("a")
      assert(child.logs.any? { |record| record["message"].include?("lost") && record["source"] == "stderr" })
    end
  end
end
