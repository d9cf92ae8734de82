# frozen_string_literal: true

require_relative "support/helper"
require_relative "support/fake_scope"

# The Ruby step that the project began with, as its author wrote it: no require for SecureRandom, a
# bare `private`, a helper below, and a handler whose value is the logger's.
class SeedTest < Minitest::Test
  SOURCE = File.read(File.expand_path("../../tests/flows/seed/steps/generate_report.step.rb", RUNNER))
  FILES = {"steps/generate_report.step.rb" => SOURCE}.freeze
  ANALYTICS = {totalOrders: 3, weeklyOrders: 1, averageOrderValue: 9.5, topProducts: {"a" => 2, "b" => 1}}.freeze

  def test_it_loads
    Child.with(FILES) do |child|
      answer = child.load("steps/generate_report.step.rb")
      assert_equal ["handler"], answer["exports"]
      input = {"totalOrders" => "number", "weeklyOrders" => "number", "topProducts" => "object"}
      assert_equal input, child.decode(answer["config"]).input
    end
  end

  def test_it_makes_its_report
    Child.with(FILES) do |child|
      id = child.event("generate_report", ANALYTICS)
      kept = sent = nil
      answer = child.answer(id) do |method, params|
        kept = [params["group"], params["key"], child.decode(params["value"])] if method == "state.set"
        sent = [params["topic"], child.decode(params["data"])] if method == "emit"
        {"event" => "e1"} if method == "emit"
      end
      assert_nil answer
      report = kept.last
      assert_equal ["reports", report.id], kept.first(2)
      assert_equal ["report.generated", report], sent
      lines = ["Metric,Value", "Total Orders,3", "Weekly Orders,1", "Average Order Value,9.5", "Product a,2", "Product b,1"]
      assert_equal lines, report.csv_data.lines(chomp: true)
      assert_includes report.html_report, "<p>Total Orders: 3</p>"
      said = child.logs.map { |record| record["message"] }
      assert_equal ["Generating CSV report from analytics", "Report generated successfully"], said
      assert_equal({"report_id" => report.id}, child.decode(child.logs.last["fields"]))
    end
  end

  def test_it_tells_what_went_wrong
    Child.with(FILES) do |child|
      topics = []
      child.answer(child.event("generate_report", {totalOrders: 3})) do |method, params|
        topics << params["topic"]
        {"event" => "e1"} if method == "emit"
      end
      assert_equal ["report.failed"], topics
      assert_equal "error", child.logs.last["level"]
    end
  end
end
