# frozen_string_literal: true

require_relative "support/helper"
require_relative "support/fake_scope"

class EmitterTest < Minitest::Test
  include StepweaveRunner

  def setup
    @scope = FakeScope.new("emit" => {"event" => "e1"})
    @emit = Emitter.new(@scope, "steps/a.step.rb")
  end

  def test_every_way_to_call_it_does_the_same
    @emit.call(topic: "t", data: {n: 1})
    @emit.call({topic: "t", data: {n: 1}})
    @emit.call({"topic" => "t", "data" => {"n" => 1}})
    @emit.call("topic" => "t", "data" => {n: 1})
    @emit.(topic: "t", data: {n: 1})
    @emit[topic: "t", data: {n: 1}]
    [{topic: "t", data: {n: 1}}].each(&@emit)
    assert_equal [["emit", {"topic" => "t", "data" => json({n: 1})}]], @scope.calls.uniq
    assert_equal 7, @scope.calls.size
  end

  def test_it_gives_the_events_id
    assert_equal ["e1", "e1"], [@emit.call(topic: "t"), @emit.call(topic: :t)]
  end

  def test_no_data_and_data_that_is_nil_differ
    @emit.call(topic: "t")
    @emit.call(topic: "t", data: nil)
    assert_equal [nil, json(nil)], @scope.calls.map { |_, params| params["data"] }
  end

  def test_options_travel_under_all_their_names
    at = Time.utc(2030, 1, 1)
    assert_equal({"id" => "once", "group" => "g"}, options(id: "once", group: "g"))
    assert_equal({"group" => "7"}, options(message_group_id: 7))
    assert_equal({"group" => "g"}, options("messageGroupId" => "g"))
    assert_equal({"delay_ms" => 1500}, options(delay: 1500))
    assert_equal({"delay_ms" => 2000}, options(delay_seconds: 2))
    assert_equal({"delay_ms" => 250}, options("delaySeconds" => 0.25))
    assert_equal({"delay_ms" => 5}, options(delay: 5, delay_seconds: 2))
    assert_equal({"priority" => -1000}, options("priority" => -1000))
    assert_equal({"priority" => 0}, options(priority: 0))
    [at, at.to_i * 1000, "2030-01-01T00:00:00Z", DateTime.new(2030, 1, 1)].each do |time|
      assert_equal({"at" => 1_893_456_000_000}, options(at: time))
    end
  end

  def test_a_day_is_its_beginning
    assert_equal({"at" => Time.new(2030, 1, 1).to_i * 1000}, options(at: "2030-01-01"))
  end

  def test_a_missing_topic_is_named
    [-> { @emit.call }, -> { @emit.call("order.created") }, -> { @emit.call({}) }, -> { @emit.call(data: 1) }, -> { @emit.call(topic: "") }].each do |call|
      error = assert_raises(TypeError, &call)
      assert_includes error.message, 'emit.call(topic: "order.created", data: {…})'
    end
    assert_empty @scope.calls
  end

  def test_an_option_with_a_value_that_makes_no_sense_is_named
    wrong = {delay: Float::NAN, delay_ms: 1e300, delay_seconds: "soon", at: Float::INFINITY, priority: 1.5}
    wrong.each do |name, value|
      name = :delay if name == :delay_ms
      error = assert_raises(TypeError) { @emit.call(topic: "t", name => value) }
      assert_match(/\Aemit takes #{name} as .*, not #{Regexp.escape(value.inspect)}\z/, error.message)
    end
    ["tomorrow", "2030-13-01", true, {}].each do |at|
      error = assert_raises(TypeError) { @emit.call(topic: "t", at: at) }
      assert_equal "emit takes at as a Time, ISO 8601 text or Unix ms, not #{at.inspect}", error.message
    end
    assert_raises(TypeError) { @emit.call(topic: "t", priority: 1001) }
    assert_raises(TypeError) { @emit.call(topic: "t", id: {}) }
    assert_empty @scope.calls
  end

  def test_an_option_that_emit_does_not_have_is_ignored_with_one_warning
    3.times { @emit.call({topic: "t", delay_millis: 5, "prio" => 1}) }
    assert_equal 3, @scope.calls.size
    said = @scope.records.map { |level, message| [level, message[/\A[^;]*/]] }
    assert_equal [
      ["warn", 'emit has no option "delay_millis", which was ignored'],
      ["warn", 'emit has no option "prio", which was ignored']
    ], said
    assert_match(/it takes topic, .*priority\z/, @scope.records[0][1])
  end

  private

  def options(given)
    @emit.call({topic: "t"}.merge(given))
    @scope.calls.last[1].except("topic", "data")
  end
end
