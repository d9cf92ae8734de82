# frozen_string_literal: true

require_relative "support/helper"
require_relative "support/fake_scope"

class CancellingTest < Minitest::Test
  def test_a_sleeping_handler_is_given_up
    Child.with({"a.step.rb" => step("sleep")}) do |child|
      id = child.event("a")
      child.cancel(id, "timeout")
      error = child.answer(id)
      assert_equal ["cancelled", "the invocation was cancelled (timeout)"], error.values_at("code", "message")
    end
  end

  def test_a_handler_in_a_context_call_is_given_up
    Child.with({"a.step.rb" => step("context.state.get('g', input)")}) do |child|
      first, second = child.event("a", "a"), child.event("a", "b")
      calls = [child.call, child.call]
      child.cancel(first)
      assert_equal "cancelled", child.answer(first)["code"]
      calls.each { |call| child.reply(call) { |_, params| json(params["key"]) } }
      assert_equal "b", child.decode(child.answer(second))
    end
  end

  def test_a_plain_rescue_does_not_swallow_it_and_ensure_runs
    files = {"a.step.rb" => step(<<~RUBY), "b.step.rb" => step("Thread.pass until $seen\n[$swallowed, $seen]")}
        context.logger.info("begun")
        sleep
      rescue => e
        $swallowed = true
      ensure
        $seen = [context.cancelled?, context.cancel_reason, (context.emit(topic: "t") rescue $!.code)]
    RUBY
    Child.with(files) do |child|
      id = child.event("a")
      child.records(1)
      child.cancel(id)
      assert_equal "cancelled", child.answer(id)["code"]
      assert_equal [nil, [true, "client", "cancelled"]], child.value("b")
    end
  end

  def test_a_handler_that_does_not_stop_is_answered_once
    files = {
      "a.step.rb" => step("puts 'begun'\nsleep\nrescue Exception\nThread.pass until $go\n$done = 1"),
      "b.step.rb" => step("$go = true\nThread.pass until $done")
    }
    Child.with(files) do |child|
      id = child.event("a")
      child.records(1)
      child.cancel(id)
      assert_equal "cancelled", child.answer(id)["code"]
      child.value("b")
      assert_equal({}, child.ask("ping", {}))
      refute child.answered?(id)
    end
  end

  def test_an_unknown_or_answered_id_is_ignored
    Child.with({"a.step.rb" => step("1")}) do |child|
      child.cancel(77)
      id = child.event("a")
      child.answer(id)
      child.cancel(id)
      assert_equal 1, child.value("a")
    end
  end

  # A cancel that meets the end of its handler must neither be lost nor hit the next one in the thread.
  def test_cancels_that_cross_answers_hit_nobody_else
    Child.with({"a.step.rb" => step("input"), "b.step.rb" => step("sleep(0.001) && input")}) do |child|
      300.times do |number|
        ids = %w[a b a].map { |step| child.event(step, number) }
        child.cancel(ids[number % 3])
        answers = ids.map { |id| child.answer(id) }
        answers.each_with_index do |answer, index|
          next if index == number % 3 && answer.is_a?(Hash) && answer["code"] == "cancelled"

          assert_equal number, child.decode(answer)
        end
      end
    end
  end
end
