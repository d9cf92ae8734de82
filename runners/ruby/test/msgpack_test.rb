# frozen_string_literal: true

require_relative "support/helper"
require_relative "../lib/stepweave_runner/pure_codec"

class MsgpackTest < Minitest::Test
  include StepweaveRunner

  CODECS = [PureCodec]
  begin
    require_relative "../lib/stepweave_runner/gem_codec"
    CODECS << GemCodec
  rescue LoadError
    nil
  end

  CODECS.each do |codec|
    name = codec.name.split("::").last

    define_method("test_#{name}_reads_the_frames_of_the_vectors") do
      vectors("frames.json")["valid"].each do |vector|
        body = [vector["hex"]].pack("H*").byteslice(4..)
        assert_equal untagged(vector["value"]), codec.new.unpack(body), vector["name"]
      end
    end

    define_method("test_#{name}_writes_the_frames_of_the_vectors") do
      vectors("frames.json")["valid"].select { |vector| vector["canonical"] }.each do |vector|
        written = codec.new.pack(untagged(vector["value"]))
        assert_equal vector["hex"][8..], written.unpack1("H*"), vector["name"]
        assert_equal Encoding::BINARY, written.encoding
      end
    end

    define_method("test_#{name}_refuses_bytes_that_are_not_one_value") do
      vectors("frames.json")["invalid"].select { |vector| vector["error"] == "malformed" }.each do |vector|
        body = [vector["hex"]].pack("H*").byteslice(4..)
        assert_raises(Malformed, vector["name"]) { codec.new.unpack(body) }
      end
    end

    define_method("test_#{name}_refuses_extension_types_and_sizes_that_are_not_there") do
      ["d4010000", "c7000100", "d6ff00000000", "ddffffffff00", "dfffffffff00", "c6ffffffff00"].each do |hex|
        assert_raises(Malformed, hex) { codec.new.unpack([hex].pack("H*")) }
      end
    end

    define_method("test_#{name}_can_go_on_after_a_refusal") do
      used = codec.new
      assert_raises(Malformed) { used.unpack("\x92\x01".b) }
      assert_raises(RangeError) { used.pack([1, 2**64]) }
      assert_equal [1, "a"], used.unpack(used.pack([1, "a"]))
    end

    define_method("test_#{name}_refuses_what_is_nested_too_deep") do
      assert_raises(Malformed) { codec.new.unpack("\x91".b * 200_000 + "\xc0".b) }
    end

    define_method("test_#{name}_tells_text_from_bytes") do
      text, bytes, ascii = codec.new.unpack(codec.new.pack(["ž", "ž".b, "a".encode(Encoding::US_ASCII)]))
      assert_equal [Encoding::UTF_8, Encoding::BINARY, Encoding::UTF_8], [text, bytes, ascii].map(&:encoding)
      assert_equal "ž", codec.new.unpack(codec.new.pack("ž".encode(Encoding::ISO_8859_2)))
    end
  end

  def test_both_codecs_write_the_same_bytes_for_random_values
    skip "the msgpack gem is not installed" if CODECS.size < 2

    random = Random.new
    pure, gem = CODECS.map(&:new)
    500.times do
      value = value(random)
      bytes = gem.pack(value)
      assert_equal bytes, pure.pack(value), "with the seed #{random.seed}"
      assert gem.unpack(bytes) == pure.unpack(bytes), "with the seed #{random.seed}"
    end
  end

  private

  def value(random, depth = 0)
    case random.rand(depth > 3 ? 8 : 10)
    when 0 then [nil, true, false].sample(random: random)
    when 1 then random.rand(-40..300)
    when 2 then random.rand(-2**63..2**64 - 1) >> random.rand(0..60)
    when 3 then random.rand(-1e9..1e9)
    when 4 then "é" * random.rand(0..20)
    when 5 then "x" * (2**random.rand(0..17))
    when 6 then random.bytes(random.rand(0..300))
    when 7 then [1.0, -0.0, 5e-324, 2.0**53].sample(random: random)
    when 8 then Array.new(random.rand(0..20)) { value(random, depth + 1) }
    else Array.new(random.rand(0..20)) { |index| ["k#{index}", value(random, depth + 1)] }.to_h
    end
  end
end
