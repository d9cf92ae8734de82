# frozen_string_literal: true

require_relative "support/helper"
require "bigdecimal"

class ValuesTest < Minitest::Test
  include StepweaveRunner

  Point = Struct.new(:x, :y)

  class Custom
    def to_h = {x: 1}
  end

  # What `from.ruby` of the vectors says in words.
  NATIVE = {"custom" => -> { Custom.new }}.freeze

  def test_native_values_become_what_the_vectors_say
    cases = vectors("values.json")["cases"].select { |vector| vector["from"].key?("ruby") }
    cases.each do |vector|
      value = NATIVE.fetch(vector["case"]) { -> { eval(vector["from"]["ruby"]) } }.call
      format, = payload = Values.encode(value)
      assert_equal vector["format"], format, vector["case"]
      assert_like expected(vector["value"]), Values.decode(payload), vector["case"]
    end
    assert_operator cases.size, :>, 10
  end

  def test_payloads_are_read_as_the_vectors_say
    vectors("payloads.json")["read"].each do |vector|
      payload = [vector["format"], [vector["hex"]].pack("H*")]
      if vector["error"]
        error = assert_raises(StepweaveError, vector["name"]) { Values.decode(payload) }
        assert_equal vector["error"], error.code, vector["name"]
      else
        value = Values.decode(payload)
        expected = untagged(vector["value"])
        expected.nil? ? assert_nil(value) : assert_equal(expected, value, vector["name"])
        assert_equal expected.encoding, value.encoding if value.is_a?(String)
      end
    end
  end

  def test_payloads_are_written_as_the_vectors_say
    vectors("payloads.json")["write"].each do |vector|
      format, bytes = Values.encode(untagged(vector["value"]))
      assert_equal [vector["format"], vector["hex"]], [format, bytes.unpack1("H*")], vector["name"]
      assert_equal Encoding::BINARY, bytes.encoding, vector["name"]
    end
  end

  def test_no_payload_is_no_value
    assert_nil Values.decode(nil)
    [[], ["json"], ["json", nil], [1, ""], "json"].each do |payload|
      assert_raises(StepweaveError) { Values.decode(payload) }
    end
  end

  def test_what_cannot_be_written_is_named_by_its_path
    circular = {"a" => [1, {}]}
    circular["a"][1]["self"] = circular
    assert_refused '"a[1].self" leads back to itself', circular
    assert_refused '"io" is a IO, which has no to_h', {io: $stdin}
    assert_refused '"list[1].text" is not valid UTF-8; use String#b for bytes', {list: [1, {text: "\xff"}]}
    assert_refused "the value is not valid UTF-8; use String#b for bytes", "\xff"
  end

  def test_the_same_value_twice_is_no_circle
    shared = {"n" => Time.at(0).utc}
    assert_equal({"a" => {"n" => "1970-01-01T00:00:00.000Z"}, "b" => {"n" => "1970-01-01T00:00:00.000Z"}},
      round({a: shared, b: shared}))
  end

  def test_deep_values_are_written
    deep = 300.times.reduce(1) { |value, _| [value] }
    assert_equal deep, round(deep)
    endless = []
    endless << endless
    assert_refused '"[0]" leads back to itself', endless
  end

  def test_numbers_dates_and_names_have_a_form
    assert_equal "1.5", round(BigDecimal("1.50"))
    assert_nil round(BigDecimal("NaN"))
    assert_equal "1/3", round(Rational(1, 3))
    assert_equal "2024-01-02T03:04:05.000+00:00", round(DateTime.new(2024, 1, 2, 3, 4, 5))
    assert_equal "/srv/data", round(Pathname.new("/srv/data"))
    assert_equal "1..3", round(1..3)
    assert_equal "Comparable", round(Comparable)
    assert_equal (2**80).to_s, round(2**80)
    assert_equal 2**60, round(2**60)
    assert_equal({"" => 1, "1" => 2, "true" => 3}, round({nil => 1, 1 => 2, true => 3}))
    assert_equal [1, 4], round([1, 2].each.lazy.map { |n| n * n })
  end

  def test_functions_are_left_out
    assert_equal({"a" => 1, "list" => [nil]}, round({a: 1, f: -> {}, m: method(:puts), list: [proc {}]}))
    assert_nil round(-> {})
  end

  def test_text_in_other_encodings_becomes_utf8
    assert_equal "žluť", round("žluť".encode(Encoding::ISO_8859_2))
    assert_equal({"klíč" => "ž"}, round({"klíč".encode(Encoding::UTF_16LE) => "ž".encode(Encoding::UTF_16BE)}))
  end

  def test_bytes_are_base64_where_only_json_can_be
    format, bytes = Values.encode_json({raw: "\x00\xff".b, list: ["\x01".b]})
    assert_equal ["json", '{"raw":"AP8=","list":["AQ=="]}'], [format, bytes]
  end

  def test_maps_that_are_read_are_records
    [{"a" => [{"b" => 1}]}, {"a" => [{"b" => 1}], "raw" => "\x00".b}].each do |value|
      read = Values.decode(Values.encode(value))
      assert_kind_of Record, read["a"][0]
      assert_equal 1, read.a[0].b
    end
  end

  private

  def round(value) = Values.decode(Values.encode(value))

  def assert_refused(message, value)
    error = assert_raises(StepweaveError) { Values.encode(value) }
    assert_equal ["invalid_payload", message], [error.code, error.message]
  end

  def expected(value)
    case value
    when Hash
      return [value["HEX"]].pack("H*") if value.keys == ["HEX"]

      value.transform_values { |item| expected(item) }
    when Array then value.map { |item| expected(item) }
    else value
    end
  end

  # The text ANY stands for anything.
  def assert_like(wanted, value, name)
    if wanted.is_a?(Hash)
      assert_equal wanted.keys, value.keys, name
      wanted.each { |key, item| assert_like(item, value[key], name) }
    else
      assert_equal wanted, value, name unless wanted == "ANY"
    end
  end
end
