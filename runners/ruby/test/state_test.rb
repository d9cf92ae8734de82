# frozen_string_literal: true

require_relative "support/helper"
require_relative "support/fake_scope"

class StateTest < Minitest::Test
  include StepweaveRunner

  def setup
    @scope = FakeScope.new
    @state = State.new(@scope, "0af7651916cd43dd8448eb211c80319c")
  end

  def test_get_gives_the_value_or_nil
    @scope.answers = {"state.get" => json({n: 1})}
    assert_equal 1, @state.get("g", "k").n
    @scope.answers = {"state.get" => json(false)}
    assert_equal false, @state.get("g", "k")
    @scope.answers = {}
    assert_nil @state.get(:g, 7)
    assert_equal ["state.get", {"group" => "g", "key" => "7"}], @scope.calls.last
  end

  def test_set_gives_the_value_that_was_set
    value = {id: 1}
    assert_same value, @state.set("g", "k", value)
    assert_equal ["state.set", {"value" => json({id: 1}), "group" => "g", "key" => "k"}], @scope.calls.last
    @state.set("g", "k", nil)
    assert_equal json(nil), @scope.calls.last[1]["value"]
  end

  def test_a_hash_without_braces_is_the_value
    assert_equal({id: 1, ttl: 2}, @state.set("g", "k", id: 1, ttl: 2))
    assert_equal json({id: 1, ttl: 2}), @scope.calls.last[1]["value"]
  end

  def test_an_option_that_there_is_not_is_named
    [
      [-> { @state.set("g", "k", 0, ttl: 5) }, 'state.set has no option "ttl"; it takes ttl_ms and expect'],
      [-> { @state.set("g", "k", 0, ttl_ms: "5") }, 'state.set takes ttl_ms as a number, not "5"'],
      [-> { @state.get_group("g", max: 5) }, 'state.get_group has no option "max"; it takes after and limit'],
      [-> { @state.update("g", "k", [], expected: 5) }, 'state.update has no option "expected"; it takes expect']
    ].each { |wrong, message| assert_equal message, assert_raises(TypeError, &wrong).message }
    assert_empty @scope.calls
  end

  def test_set_takes_options_in_every_form
    assert_equal({"ttl_ms" => 5000}, options { @state.set("g", "k", 0, ttl_ms: 5000) })
    assert_equal({"ttl_ms" => 5000}, options { @state.set("g", "k", 0, {"ttlMs" => 5000}) })
    assert_equal({"expect" => json(1)}, options { @state.set("g", "k", 0, expect: 1) })
    assert_equal({"expect" => nil}, options { @state.set("g", "k", 0, {expect: nil}) })
    assert_equal({}, options { @state.set("g", "k", 0) })
  end

  def test_delete_gives_what_was_there
    @scope.answers = {"state.delete" => json([1])}
    assert_equal [1], @state.delete("g", "k")
  end

  def test_a_group_is_a_list_of_values
    @scope.answers = {"state.list" => [["a", json(1)], ["b", json({n: 2})]]}
    assert_equal [[1, {"n" => 2}]] * 3, [@state.get_group("g"), @state.getGroup("g"), @state.list("g")]
    assert_equal ["state.list", {"group" => "g"}], @scope.calls.last
  end

  def test_a_group_is_read_in_pages
    @scope.answers = {"state.list" => [["a", json(1)], ["b", json(2)]]}
    page = @state.get_group("g", limit: 2)
    assert_equal [[1, 2], "b"], [page, page.next]
    assert_nil @state.get_group("g", {"limit" => 3, "after" => page.next}).next
    assert_nil @state.get_group("g").next
    assert_equal "b", @state.trace.get_group(limit: 2).next
    assert_equal [{"limit" => 2}, {"after" => "b", "limit" => 3}, {}, {"limit" => 2}],
      @scope.calls.map { |_, params| params.except("group") }
  end

  def test_clear_and_groups
    @scope.answers = {"state.clear" => 2, "state.groups" => %w[a b]}
    assert_equal 2, @state.clear("g")
    assert_equal [%w[a b]] * 3, [@state.groups, @state.list_groups, @state.listGroups]
  end

  def test_update_sends_operations
    @scope.answers = {"state.update" => json({a: 1})}
    result = @state.update("g", "k", [
      {op: "set", path: "a.b.0", value: 1}, {"type" => "merge", "value" => {k: nil}}, {op: :remove, path: ["x", 1]}
    ])
    assert_equal 1, result.a
    assert_equal [
      {"op" => "set", "path" => ["a", "b", 0], "value" => json(1)},
      {"op" => "merge", "path" => [], "value" => json({k: nil})},
      {"op" => "remove", "path" => ["x", 1]}
    ], @scope.calls.last[1]["ops"]
    @state.update("g", "k", {op: "append", path: "list", value: 1}, expect: nil)
    assert_equal [1, nil], [@scope.calls.last[1]["ops"].size, @scope.calls.last[1].fetch("expect")]
    [{path: "a"}, "a", 1].each do |wrong|
      assert_includes assert_raises(TypeError) { @state.update("g", "k", wrong) }.message, "{op:, path:, value:}"
    end
  end

  def test_increment_is_an_update
    @scope.answers = {"state.update" => json(12)}
    assert_equal 12, @state.increment("g", "k", 5)
    assert_equal [{"op" => "increment", "path" => [], "value" => json(5)}], @scope.calls.last[1]["ops"]
    @state.increment("g", "k")
    assert_equal json(1), @scope.calls.last[1]["ops"][0]["value"]
  end

  def test_compare_and_set_tells_whether_it_did
    assert_equal true, @state.compare_and_set("g", "k", {v: 1}, {v: 2})
    assert_equal [json({v: 2}), json({v: 1})], @scope.calls.last[1].values_at("value", "expect")
    @scope.answers = {"state.set" => StepweaveError.new("conflict", "another value")}
    assert_equal false, @state.compareAndSet("g", "k", nil, 1)
    @scope.answers = {"state.set" => StepweaveError.new("state_failed", "the disk is full")}
    assert_raises(StepweaveError) { @state.compare_and_set("g", "k", 1, 2) }
  end

  def test_the_trace_is_a_group_of_its_own
    @state.trace.set("k", {n: 1}, ttl_ms: 5)
    @state.trace.set("k", n: 1)
    @state.trace.get("k")
    @state.trace.clear
    assert_equal ["0af7651916cd43dd8448eb211c80319c"], @scope.calls.map { |_, params| params["group"] }.uniq
    assert_equal 5, @scope.calls[0][1]["ttl_ms"]
    assert_equal json({n: 1}), @scope.calls[1][1]["value"]
  end

  def test_methods_can_be_taken_off_by_name
    @scope.answers = {"state.get" => json(1)}
    assert_equal [1] * 3, [@state[:get].call("g", "k"), @state["get"].("g", "k"), @state[:get]["g", "k"]]
    assert_equal 1, @state.trace[:get].call("k")
    assert_equal 2, @state[:set].call("g", "k", 2)
  end

  def test_a_name_that_is_none_is_refused_here
    [nil, {}, "\xff"].each { |name| assert_raises(TypeError) { @state.get("g", name) } }
    assert_empty @scope.calls
  end

  private

  def options
    yield
    @scope.calls.last[1].except("group", "key", "value")
  end
end
