# frozen_string_literal: true

require_relative "support/helper"
require_relative "support/fake_scope"

class StreamsTest < Minitest::Test
  include StepweaveRunner

  MARK = {"type" => "state-stream", "streamName" => "board", "groupId" => "g", "id" => "a"}.freeze

  def setup
    @scope = FakeScope.new
    @streams = Streams.new(@scope)
    @board = @streams.board
  end

  def test_any_name_is_a_stream_by_method_symbol_and_text
    @streams.board.get("g", "a")
    @streams[:board].get("g", "a")
    @streams["to-do"].get("g", "a")
    @streams.test.get("g", "a")
    assert_equal %w[board board to-do test], @scope.calls.map { |_, params| params["stream"] }
    assert_respond_to @streams, :anything
    assert_raises(NoMethodError) { @streams.board(1) }
    assert_equal [@streams], [@streams].flatten
  end

  def test_items_are_marked
    @scope.answers = {"stream.get" => json({id: "a", text: "hi"})}
    item = @board.get("g", "a")
    assert_equal({"id" => "a", "text" => "hi", "__motia" => MARK}, item)
    assert_equal "hi", item.text
    @scope.answers = {}
    assert_nil @board.get("g", "b")
  end

  def test_set_gives_the_stored_item_and_strips_the_mark
    @scope.answers = {"stream.set" => json({id: "a", text: "hi"})}
    assert_equal MARK, @board.set("g", "a", {"text" => "hi", "__motia" => MARK})["__motia"]
    sent = {"data" => json({text: "hi"}), "group" => "g", "id" => "a", "stream" => "board"}
    assert_equal ["stream.set", sent], @scope.calls.last
    @board.set("g", "a", text: "hi")
    assert_equal json({text: "hi"}), @scope.calls.last[1]["data"]
  end

  def test_update_delete_and_list
    @scope.answers = {
      "stream.update" => json({id: "a"}), "stream.delete" => json({id: "a"}),
      "stream.list" => [["z", json({id: "z"})], ["a", json({id: "a"})]]
    }
    assert_equal MARK, @board.update("g", "a", {op: "set", path: "text", value: "yo"})["__motia"]
    assert_equal MARK, @board.delete("g", "a")["__motia"]
    %i[get_group getGroup list].each { |name| assert_equal %w[z a], @board.public_send(name, "g").map(&:id) }
    assert_equal MARK, @board.list("g").last["__motia"]
  end

  def test_send_reaches_a_group_or_an_item
    @board.send({groupId: "g"}, {type: "typing", data: {who: "ann"}})
    @board.send({"group_id" => "g", "id" => "a"}, type: "typing")
    @board.send("g", {type: "typing"})
    @board.send("g", {type: "typing", data: nil})
    assert_equal [
      {"group" => "g", "event" => {"type" => "typing", "data" => json({who: "ann"})}, "stream" => "board"},
      {"group" => "g", "event" => {"type" => "typing", "data" => nil}, "id" => "a", "stream" => "board"},
      {"group" => "g", "event" => {"type" => "typing", "data" => nil}, "stream" => "board"},
      {"group" => "g", "event" => {"type" => "typing", "data" => json(nil)}, "stream" => "board"}
    ], @scope.calls.map(&:last)
    assert_raises(TypeError) { @board.send("g", {data: 1}) }
  end
end
