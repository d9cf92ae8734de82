# frozen_string_literal: true

require_relative "support/helper"

class FrameTest < Minitest::Test
  include StepweaveRunner

  def test_frames_may_arrive_in_any_pieces
    values = [[0, 1, "ping", {}], [2, "log", {"message" => "x" * 300}], [1, 7, nil, nil]]
    stream = values.map { |value| frame(value) }.join
    assert_equal values, read([stream])
    [1, 2, 3, 5, 7, 64, 299].each do |size|
      pieces = stream.scan(/.{1,#{size}}/mn)
      assert_equal values, read(pieces), "in pieces of #{size}"
    end
  end

  def test_a_piece_may_be_used_again_for_the_next
    buffer = +"".b
    reader = Frame::Reader.new
    values = []
    frame([0, 1, "ping", {"text" => "y" * 100}]).scan(/.{1,40}/mn) do |piece|
      reader.feed(buffer.replace(piece)) { |value| values << value }
    end
    assert_equal [[0, 1, "ping", {"text" => "y" * 100}]], values
  end

  def test_a_frame_over_the_limit_is_skipped_in_any_pieces
    stream = frame([0, 70_000, "load", {"pad" => "x" * 5000}]) + frame([0, 2, "ping", {}])
    [1, 3, 6, 100, 10_000].each do |size|
      oversize, after = read(stream.scan(/.{1,#{size}}/mn), max_size: 1000)
      assert_kind_of Frame::Oversize, oversize
      assert_equal [0, 70_000], oversize.peek
      assert_equal [0, 2, "ping", {}], after, "in pieces of #{size}"
    end
  end

  def test_the_head_of_a_frame_tells_request_and_response
    assert_equal [0, 5], Frame::Oversize.new(99, [0x94, 0, 5, 0xa4].pack("C*")).peek
    assert_equal [1, 200], Frame::Oversize.new(99, [0x94, 1, 0xcc, 200].pack("C*")).peek
    assert_equal [0, 2**32 - 1], Frame::Oversize.new(99, [0x94, 0, 0xce, 255, 255, 255, 255].pack("C*")).peek
    assert_nil Frame::Oversize.new(99, [0x93, 2, 0xa3].pack("C*")).peek
    assert_nil Frame::Oversize.new(1, [0x94].pack("C*")).peek
  end

  def test_the_vectors_limits_are_kept
    vectors("frames.json")["invalid"].select { |vector| vector["error"] == "too_large" }.each do |vector|
      values = read([[vector["hex"]].pack("H*")], max_size: vector["max_frame"])
      assert_kind_of Frame::Oversize, values.first, vector["name"]
    end
  end

  def test_bytes_that_are_no_value_are_shown
    error = assert_raises(Malformed) { read([[6].pack("N") + "hello\n"]) }
    assert_includes error.message, "hello"
    assert_raises(Malformed) { read([[0].pack("N")]) }
  end

  private

  def frame(value)
    body = Msgpack.pack(value)
    [body.bytesize].pack("N") + body
  end

  def read(pieces, max_size: Frame::MAX_SIZE)
    reader = Frame::Reader.new(max_size)
    pieces.each_with_object([]) { |piece, values| reader.feed(piece.dup) { |value| values << value } }
  end
end
