# frozen_string_literal: true

require_relative "support/helper"
require_relative "support/fake_scope"

class ContextTest < Minitest::Test
  include StepweaveRunner

  Loaded = Struct.new(:flows, :handle)

  def setup
    @scope = FakeScope.new("emit" => {"event" => "e1"})
    params = {"trace" => Child::TRACE, "attempt" => 2, "deadline_ms" => 60_000}
    @context = Context.new(@scope, Loaded.new(%w[kit second], "steps/a.step.rb"), params)
  end

  def test_each_name_has_every_spelling
    %w[logger state streams flows attempt].each do |name|
      assert_same @context.public_send(name), @context[name.to_sym]
      assert_same @context.public_send(name), @context[name]
      assert_same @context.public_send(name), @context.fetch(name)
    end
    trace = "0af7651916cd43dd8448eb211c80319c"
    assert_equal [trace] * 2, [@context.trace_id, @context.traceId]
    assert_equal [trace] * 3, [@context[:trace_id], @context["traceId"], @context[:traceId]]
    assert_equal [%w[kit second], 2, []], [@context.flows, @context.attempt, @context.events]
    refute_predicate @context, :cancelled?
  end

  def test_emit_is_a_method_and_something_to_call
    assert_same @context[:emit], @context.emit
    @context.emit(topic: "t", data: 1)
    @context.emit({"topic" => "t", "data" => 1})
    @context.emit.call(topic: "t", data: 1)
    @context[:emit].call({topic: "t", data: 1})
    assert_equal [["emit", {"topic" => "t", "data" => json(1)}]] * 4, @scope.calls
  end

  def test_the_deadline_is_a_point_in_time_and_the_time_that_is_left
    assert_includes 50.0..60.0, @context.deadline - Time.now
    assert_same @context.deadline, @context[:deadline]
    assert_includes 50_000..60_000, @context.remaining_ms
    free, late = timed(nil), timed(0)
    assert_equal [nil, Float::INFINITY, 0], [free.deadline, free.remaining_ms, late.remainingMs]
    assert_operator late.deadline, :<=, Time.now
  end

  def test_events_that_come_together_are_listed
    given = [{"event" => "e1", "topic" => "t", "attempt" => 1}, {"event" => "e2", "topic" => "u", "attempt" => 3}]
    context = Context.new(@scope, Loaded.new([], "a"), {"input" => {"events" => given}})
    assert_equal [["e1", "t", 1], ["e2", "u", 3]], (context.events.map { |one| [one.id, one[:topic], one["attempt"]] })
  end

  def test_an_event_is_withdrawn_by_its_id
    @scope.answers["event.cancel"] = 2
    assert_equal [2, 2], [@context.cancel_event("e1"), @context.cancelEvent("e1")]
    assert_equal [["event.cancel", {"event" => "e1"}]] * 2, @scope.calls
    error = assert_raises(TypeError) { @context.cancel_event({event: "e1"}) }
    assert_includes error.message, "cancel_event needs the id that emit gave"
  end

  def test_it_can_be_taken_apart
    @context => {logger:, state:, trace_id:}
    assert_equal [@context.logger, @context.state, @context.trace_id], [logger, state, trace_id]
    assert_same logger, @context.to_h[:logger]
  end

  def test_middleware_may_add_entries
    @context[:user] = {name: "ann"}
    assert_equal ["ann"] * 3, [@context[:user][:name], @context["user"][:name], @context.user[:name]]
    assert_equal "ann", @context.dig(:user, :name)
    assert @context.key?(:user)
    assert_respond_to @context, :user
  end

  def test_an_unknown_name_is_nil_or_an_error
    assert_nil @context[:nothing]
    assert_equal 1, @context.fetch(:nothing, 1)
    assert_raises(KeyError) { @context.fetch(:nothing) }
    assert_raises(NoMethodError) { @context.nothing }
  end

  private

  def timed(ms) = Context.new(@scope, Loaded.new([], "a"), {"deadline_ms" => ms})
end
