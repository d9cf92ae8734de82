# frozen_string_literal: true

require_relative "support/helper"

class SseTest < Minitest::Test
  Sse = StepweaveRunner::Sse

  def written(*events) = Sse.response(events, {})[:body].to_a.join

  def test_events_are_written_as_browsers_read_them
    {
      "hello" => "data: hello\n\n",
      {data: "a\nb\r\nc\rd"} => "data: a\ndata: b\ndata: c\ndata: d\n\n",
      {data: ""} => "data: \n\n",
      {data: nil} => "data: null\n\n",
      {"data" => {"ü" => [1]}} => "data: {\"ü\":[1]}\n\n",
      {event: "e", id: 7, retry: 10} => "event: e\nid: 7\nretry: 10\n\n",
      [1, 2] => "data: [1,2]\n\n"
    }.each { |event, text| assert_equal text, written(event) }
  end

  def test_what_is_no_event_is_refused
    {
      {date: 1} => /an event has data, event, id and retry/,
      {} => /an event has data/,
      {event: "a\nb", data: 1} => /the event of an event is one line/,
      {id: "a\0b"} => /the id of an event is one line/,
      {retry: "soon"} => /in whole milliseconds/
    }.each { |event, says| assert_match says, assert_raises(ArgumentError) { written(event) }.message }
    ["text", 7, nil, {data: 1}].each { |events| assert_raises(ArgumentError) { Sse.response(events, {}) } }
  end

  def test_only_what_gives_its_parts_one_by_one_is_a_stream
    lone = Object.new
    def lone.each = yield(1)
    [[1].each, [1].lazy, Enumerator.new { |out| out << 1 }, lone].each do |body|
      assert StepweaveRunner::Streaming.stream?(body), body.inspect
    end
    [[1], {a: 1}, "text", 1, nil, 1..3, Struct.new(:a).new(1)].each do |body|
      refute StepweaveRunner::Streaming.stream?(body), body.inspect
    end
  end

  def test_files_are_read_by_position_field_and_name
    given = {"field" => "a", "name" => "n", "type" => "t", "size" => 2, "data" => "in".b}
    files = StepweaveRunner::UploadedFiles.new([StepweaveRunner::UploadedFile.from(given)])
    assert_same files[0], files["a"]
    assert_same files[0], files[:a]
    assert_nil files["none"]
    assert_equal [2, "n", "t", nil, "in"], [files[0].size, files[0].name, files[0][:type], files[0].path, files[0].bytes]
  end
end
