# frozen_string_literal: true

require_relative "support/helper"
require_relative "support/fake_scope"

class LoggerTest < Minitest::Test
  include StepweaveRunner

  def setup
    @scope = FakeScope.new
    @logger = StepweaveRunner::Logger.new(@scope)
  end

  def test_each_level_has_its_method
    %i[debug info warn warning error log].each { |level| assert_nil @logger.public_send(level, "hi") }
    assert_equal %w[debug info warn warn error info], @scope.records.map(&:first)
  end

  def test_fields_are_keywords_or_a_hash_or_both
    @logger.info("m", id: 1)
    @logger.info("m", {id: 1})
    @logger.info("m", {id: 1}, n: 2)
    @logger.info("m", "id" => 1)
    @logger.info("m")
    assert_equal [{id: 1}, {id: 1}, {id: 1, n: 2}, {"id" => 1}, nil], @scope.records.map { |record| record[2] }
  end

  def test_errors_are_messages_and_fields
    error = RuntimeError.new("too far")
    @logger.error(error)
    @logger.error("failed", error)
    @logger.error("failed", error: error)
    said = @scope.records.map { |level, *rest| level == "error" ? rest : flunk }
    assert_equal [["too far", error], ["failed", error], ["failed", {error: error}]], said
  end

  def test_messages_may_be_blocks_and_anything
    @logger.info { "from a block" }
    @logger.info({n: 1}, "fields first")
    @logger.info([1, 2])
    @logger.info(:done)
    said = @scope.records.map { |_level, *rest| rest }
    assert_equal [["from a block"], ["fields first", {n: 1}], ["[1, 2]"], ["done"]], said
  end
end
