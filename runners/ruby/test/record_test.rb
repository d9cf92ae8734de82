# frozen_string_literal: true

require_relative "support/helper"

class RecordTest < Minitest::Test
  include StepweaveRunner

  def setup
    json = '{"id":"o1","customerId":7,"x-probe":"seen","items":[{"productId":"p"}],"size":"XL","none":null}'
    @order = Values.decode(["json", json.b])
  end

  def test_it_is_read_by_text_symbol_and_method
    assert_equal ["o1"] * 3, [@order["id"], @order[:id], @order.id]
    assert_equal [7] * 4, [@order["customerId"], @order[:customerId], @order.customerId, @order.customer_id]
    assert_equal [7, "seen"], [@order[:customer_id], @order[:x_probe]]
    assert_equal ["p"] * 2, [@order.items[0].product_id, @order["items"][0]["productId"]]
    assert_equal ["p"] * 2, [@order.dig(:items, 0, :productId), @order.dig("items", 0, "productId")]
  end

  def test_a_missing_name_is_nil
    assert_nil @order[:nothing]
    assert_nil @order["nothing"]
    assert_nil @order.nothing
    assert_nil @order.none
    refute_respond_to @order, :nothing
    assert_respond_to @order, :customer_id
  end

  def test_a_mistake_is_an_error
    assert_raises(NoMethodError) { @order.nothing? }
    assert_raises(NoMethodError) { @order.nothing! }
    assert_raises(NoMethodError) { @order.nothing(1) }
    assert_raises(NoMethodError) { @order.each_pari { |pair| pair } }
    assert_raises(NoMethodError) { @order.to_str }
  end

  def test_it_is_a_hash
    assert_kind_of Hash, @order
    assert_equal %w[id customerId x-probe items size none], @order.keys
    assert_equal %w[id customerId x-probe items size none], @order.map { |key, _value| key }
    pairs = {}
    @order.each { |key, value| pairs[key] = value }
    assert_equal @order, pairs
    assert_equal 6, @order.size
    assert_equal "XL", @order["size"]
    assert_equal "o1", {**@order}["id"]
    assert_equal JSON.parse(@order.to_json), @order
    assert_equal({id: "o1", customerId: 7}, @order.transform_keys(&:to_sym).slice(:id, :customerId))
  end

  def test_hash_methods_take_symbols
    assert @order.key?(:customer_id)
    assert_includes @order, :id
    refute @order.key?(:nothing)
    assert_equal "o1", @order.fetch(:id)
    assert_equal 1, @order.fetch(:nothing, 1)
    assert_equal :nothing, @order.fetch(:nothing) { |key| key.to_sym }
    assert_raises(KeyError) { @order.fetch(:nothing) }
    assert_equal ["o1", nil], @order.values_at(:id, :nothing)
    assert_equal ["o1", 7], @order.fetch_values(:id, "customerId")
    assert_equal({"id" => "o1"}, @order.slice(:id))
    refute_includes @order.except(:customer_id).keys, "customerId"
    assert_equal 7, @order.delete(:customer_id)
    refute @order.key?("customerId")
  end

  def test_what_is_written_by_symbol_is_read_by_text
    @order[:total] = 5
    @order.note = "soon"
    @order.store(:paid, true)
    assert_equal [5, "soon", true], @order.values_at("total", "note", "paid")
    merged = @order.merge({id: "o2"}, {"extra" => 1})
    assert_equal ["o2", "o2", 1], [merged["id"], merged.id, merged[:extra]]
    assert_equal "o1", @order.id
    @order.merge!(id: "o3")
    assert_equal ["o3"], @order.values_at("id")
  end

  def test_it_can_be_matched
    case @order
    in {id: String => id, customer_id: Integer => customer, items: [{productId:}]}
      assert_equal ["o1", 7, "p"], [id, customer, productId]
    end
    matched = (@order in {nothing: _})
    refute matched
  end

  def test_ruby_does_not_take_it_for_something_else
    assert_equal [@order], [@order].flatten
    assert_output(/customerId/) { puts @order.inspect }
    assert_equal "#{@order.inspect}\n", capture_io { puts @order }.first
  end
end
