# frozen_string_literal: true

require_relative "support/helper"
require_relative "support/fake_scope"

class ConcurrencyTest < Minitest::Test
  CONFIG = %(def config = {type: "event", name: "A"}\n)

  WAITS = <<~RUBY
    #{CONFIG}
    def handler(input, context)
      opened = context.state.get("gates", input.gate)
      context.emit(topic: "waits.done", data: {gate: input.gate, opened: opened})
      {gate: input.gate, mine: @mine = input.gate}
    end
  RUBY

  def test_invocations_that_arrive_at_once_keep_their_scopes
    Child.with({"a.step.rb" => WAITS}) do |child|
      ids = Array.new(30) { |gate| child.event("a", {gate: gate}) }
      calls = Array.new(30) { child.call }
      assert_equal ids.sort, calls.map { |_, _, params| params["scope"] }.sort
      calls.reverse_each { |call| child.reply(call) { |_, params| json("opened #{params["key"]}") } }
      30.times do
        call = child.call
        data = child.decode(call[2]["data"])
        assert_equal ids.index(call[2]["scope"]), data["gate"]
        assert_equal "opened #{data["gate"]}", data["opened"]
        child.reply(call) { {"event" => "e"} }
      end
      ids.each_with_index { |id, gate| assert_equal({"gate" => gate, "mine" => gate}, child.decode(child.answer(id))) }
    end
  end

  def test_fifty_handlers_sleep_at_once
    Child.with({"a.step.rb" => step("puts 'begun'\nsleep")}) do |child|
      ids = Array.new(50) { child.event("a") }
      assert_equal ids.sort, child.records(50).map { |record| record["scope"] }.sort
      ids.each { |id| child.cancel(id) }
      assert_equal ["cancelled"], ids.map { |id| child.answer(id)["code"] }.uniq
    end
  end

  def test_no_more_calls_are_open_than_the_orchestrator_takes
    Child.with({"a.step.rb" => WAITS}, window: 2) do |child|
      ids = Array.new(8) { |gate| child.event("a", {gate: gate}) }
      open = [child.call, child.call]
      (2 * ids.size).times do
        child.ask("ping", {})
        open.concat(child.calls.slice!(0..))
        open << child.call if open.empty?
        assert_operator open.size, :<=, 2
        child.reply(open.shift) { |method, _| method == "emit" ? {"event" => "e"} : json(1) }
      end
      ids.each { |id| assert_kind_of Integer, child.decode(child.answer(id)).gate }
    end
  end

  def test_a_computing_handler_does_not_stop_the_others
    files = {
      "busy.step.rb" => "#{CONFIG}def handler(input, context)\n  i = 0\n  i += 1 until $enough\n  i.positive?\nend",
      "quick.step.rb" => "#{CONFIG}def handler(input, context) = $enough = input"
    }
    Child.with(files) do |child|
      busy = child.event("busy")
      assert_equal({}, child.ask("ping", {}))
      assert_equal true, child.value("quick", true)
      assert_equal true, child.decode(child.answer(busy))
    end
  end

  def test_a_timeout_of_the_authors_own_works_everywhere
    files = {"a.step.rb" => step(<<~RUBY)}
      context.state.get("g", "k")
      Timeout.timeout(0.01) { context.state.get("g", "never") }
      rescue Timeout::Error
      context.state.get("g", "after")
    RUBY
    Child.with(files) do |child|
      ids = Array.new(20) { child.event("a") }
      # On a busy machine the time may be up before the call is made, so nobody knows how many come.
      until ids.all? { |id| child.answered?(id) }
        child.read
        child.calls.slice!(0..).each do |call|
          child.reply(call) { |_, params| json(params["key"]) } unless call[2]["key"] == "never"
        end
      end
      assert_equal ["after"], ids.map { |id| child.decode(child.answer(id)) }.uniq
    end
  end

  def test_threads_that_a_handler_starts_belong_to_it
    files = {"a.step.rb" => <<~RUBY}
      #{CONFIG}
      def handler(input, context)
        Array.new(3) do |number|
          Thread.new do
            puts "printed by \#{number}"
            context.logger.info("said by \#{number}")
            context.emit(topic: "burst", data: number)
          end
        end.each(&:join)
        Enumerator.new { |out| puts("printed by a fiber"); out << 1 }.next
      end
    RUBY
    Child.with(files) do |child|
      id = child.event("a")
      calls = Array.new(3) { child.call }
      assert_equal [0, 1, 2], calls.map { |_, _, params| child.decode(params["data"]) }.sort
      calls.each { |call| child.reply(call) { {"event" => "e"} } }
      assert_equal 1, child.decode(child.answer(id))
      assert_equal 7, child.logs.count { |record| record["scope"] == id }
    end
  end

  def test_a_context_fails_after_its_handler
    files = {"a.step.rb" => <<~RUBY}
      #{CONFIG}
      def handler(input, context)
        return $kept = context if input == "keep"

        $kept.logger.info("late")
        begin
          $kept.emit(topic: "late.out")
        rescue StepweaveError => e
          [e.code, e.message]
        end
      end
    RUBY
    Child.with(files) do |child|
      child.value("a", "keep")
      code, message = child.value("a", "use")
      assert_equal "unknown_scope", code
      assert_includes message, "emit after the handler had answered"
      late = child.logs.find { |record| record["message"] == "late" }
      refute late.key?("scope")
    end
  end

  def test_a_refused_call_can_be_rescued
    files = {"a.step.rb" => <<~RUBY}
      #{CONFIG}
      def handler(input, context)
        context.state.get("g", "k")
      rescue StepweaveError => e
        [e.code, e.message]
      end
    RUBY
    Child.with(files) do |child|
      id = child.event("a")
      child.refuse(child.call, "state_failed", "the disk is full")
      assert_equal ["state_failed", "the disk is full"], child.decode(child.answer(id))
    end
  end
end
