# frozen_string_literal: true

require_relative "support/helper"
require_relative "support/fake_scope"

class CancellingTest < Minitest::Test
  CONFIG = %(def config = {type: "event", name: "A"}\n)

  def test_a_sleeping_handler_is_given_up
    Child.with({"a.step.rb" => "#{CONFIG}def handler(input, context) = sleep"}) do |child|
      id = child.event("a")
      child.cancel(id, "timeout")
      assert_equal ["cancelled", "the invocation was cancelled (timeout)"], child.answer(id).values_at("code", "message")
    end
  end

  def test_a_handler_in_a_context_call_is_given_up
    Child.with({"a.step.rb" => "#{CONFIG}def handler(input, context) = context.state.get('g', input)"}) do |child|
      first, second = child.event("a", "a"), child.event("a", "b")
      calls = [child.call, child.call]
      child.cancel(first)
      assert_equal "cancelled", child.answer(first)["code"]
      calls.each { |call| child.reply(call) { |_, params| json(params["key"]) } }
      assert_equal "b", child.decode(child.answer(second))
    end
  end

  def test_a_plain_rescue_does_not_swallow_it_and_ensure_runs
    files = {"a.step.rb" => <<~RUBY}
      #{CONFIG}
      def handler(input, context)
        context.logger.info("begun")
        sleep
      rescue => e
        $swallowed = true
      ensure
        $seen = [context.cancelled?, context.cancel_reason, (context.emit(topic: "t") rescue $!.code)]
      end
    RUBY
    files["b.step.rb"] = "#{CONFIG}def handler(input, context)\n  Thread.pass until $seen\n  [$swallowed, $seen]\nend"
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
      "a.step.rb" => "#{CONFIG}def handler(input, context)\n  puts 'begun'\n  sleep\nrescue Exception\n  Thread.pass until $go\n  $done = 1\nend",
      "b.step.rb" => "#{CONFIG}def handler(input, context)\n  $go = true\n  Thread.pass until $done\nend"
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
    Child.with({"a.step.rb" => "#{CONFIG}def handler(input, context) = 1"}) do |child|
      child.cancel(77)
      id = child.event("a")
      child.answer(id)
      child.cancel(id)
      assert_equal 1, child.value("a")
    end
  end

  # A cancel that meets the end of its handler must neither be lost nor hit the next one in the thread.
  def test_cancels_that_cross_answers_hit_nobody_else
    files = {"a.step.rb" => "#{CONFIG}def handler(input, context) = input", "b.step.rb" => "#{CONFIG}def handler(input, context) = sleep(0.001) && input"}
    Child.with(files) do |child|
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
