# frozen_string_literal: true

require_relative "support/helper"
require_relative "support/fake_scope"

class InvokingTest < Minitest::Test
  CONFIG = %(def config = {type: "event", name: "A", flows: ["kit"]}\n)

  def test_an_api_handler_sees_the_request
    files = {"a.step.rb" => api_step(<<~RUBY)}
      {
        status: 201, headers: {"x-a" => 1, :"set-cookie" => ["a=1", "b=2"], "x-none" => nil},
        body: [
          input.method, input.path, input.path_params.id, input[:queryParams][:q], input["headers"]["x-probe"],
          input.headers.x_probe, input.body.n, input.raw_body, input[:rawBody], input.is_a?(Hash), input.keys
        ]
      }
    RUBY
    Child.with(files) do |child|
      answer = child.answer(child.api("a", method: "POST", path: "/a/7", params: {"id" => "7"}, query: {"q" => %w[x y]},
        headers: {"x-probe" => "seen"}, body: json({n: 1})))
      assert_equal [201, {"x-a" => "1", "set-cookie" => ["a=1", "b=2"]}], answer.values_at("status", "headers")
      assert_equal [
        "POST", "/a/7", "7", %w[x y], "seen", "seen", 1, '{"n":1}', '{"n":1}', true,
        %w[body rawBody headers pathParams queryParams method path url ip cookies files]
      ], child.decode(answer["body"])
      empty = child.decode(child.answer(child.api("a"))["body"])
      assert_equal [nil, "", ""], empty[6..8]
    end
  end

  def test_an_api_body_keeps_its_format
    bodies = {
      '{status: 200, body: "text"}' => ["text", "text"],
      '{status: 200, body: "\x00\xff".b}' => ["bytes", "\x00\xff".b],
      "{status: 200, body: nil}" => %w[json null],
      "{status: 204}" => nil,
      '{"status" => 200, "body" => [1]}' => ["json", "[1]"],
      '{status: 200, body: {raw: "\x00\xff".b}}' => ["json", '{"raw":"AP8="}'],
      "Struct.new(:status, :body).new(200, 1)" => %w[json 1]
    }
    Project.with({}) do |project|
      child = Child.new(project)
      bodies.each do |source, body|
        project.write("a.step.rb", api_step(source))
        child.load("a.step.rb")
        answer = child.answer(child.api("a"))
        body.nil? ? assert_nil(answer["body"]) : assert_equal(body, answer["body"], source)
      end
      child.close
    end
  end

  def test_an_unusable_api_answer_is_explained
    answers = {
      "nil" => "it returned nothing", '"oops"' => "it returned a String", "[1]" => "it returned a Array",
      "{status: 'teapot'}" => '"teapot"', "{body: 1}" => "nil", "{status: 200, headers: 5}" => "headers"
    }
    Project.with({}) do |project|
      child = Child.new(project)
      answers.each do |source, text|
        project.write("a.step.rb", api_step(source))
        child.load("a.step.rb")
        error = child.answer(child.api("a"))
        assert_equal ["handler_failed", "InvalidResponse"], error.values_at("code", "type"), source
        assert_includes error["message"], text
      end
      project.write("a.step.rb", api_step("{status: 200, body: {io: STDIN}}"))
      child.load("a.step.rb")
      error = child.answer(child.api("a"))
      assert_equal "invalid_payload", error["code"]
      assert_equal 'the body of the response: "io" is a IO, which has no to_h', error["message"]
      child.close
    end
  end

  def test_handlers_take_as_many_arguments_as_they_like
    files = {
      "none.step.rb" => "#{CONFIG}def handler = 'none'",
      "one.step.rb" => "#{CONFIG}def handler(input) = input",
      "rest.step.rb" => "#{CONFIG}def handler(*all) = all.size",
      "optional.step.rb" => "#{CONFIG}def handler(input, context = nil) = context.attempt",
      "cron.step.rb" => "#{CONFIG}def handler(context) = context.flows",
      "both.step.rb" => "#{CONFIG}def handler(tick, context) = tick.scheduled"
    }
    Child.with(files) do |child|
      assert_equal ["none", 5, 2], [child.value("none"), child.value("one", 5), child.value("rest")]
      assert_equal 3, child.value("optional", 5, attempt: 3)
      ticks = %w[cron both].map { |step| child.decode(child.answer(child.cron(step))) }
      assert_equal [["kit"], 1_764_100_000_000], ticks
    end
  end

  def test_middleware_wraps_the_handler
    files = {"a.step.rb" => <<~RUBY}
      def config = {type: "api", name: "A", middleware: [method(:outer), :inner, MARK]}

      MARK = lambda do |req, context, following|
        context[:seen] = 1
        following.call(req)
      end

      def outer(req, context, following)
        answer = following.call
        answer.merge(headers: {"x-outer" => "yes"})
      end

      def inner(req, context, following)
        return {status: 403, body: {stopped: true}} if req.query_params.key?("stop")

        following.(req.merge("changed" => true))
      end

      def handler(req, context) = {status: 200, body: [req.changed, context.seen]}
    RUBY
    Child.with(files) do |child|
      assert_equal %w[handler middleware], child.load("a.step.rb")["exports"]
      through = child.answer(child.api("a"))
      assert_equal [200, {"x-outer" => "yes"}], through.values_at("status", "headers")
      assert_equal [true, 1], child.decode(through["body"])
      stopped = child.answer(child.api("a", query: {"stop" => "1"}))
      assert_equal [403, {"x-outer" => "yes"}], stopped.values_at("status", "headers")
    end
  end

  def test_middleware_may_hand_on_a_plain_hash
    files = {"a.step.rb" => <<~RUBY}
      def config = {type: "api", name: "A", middleware: [:other]}

      def other(req, _context, following) = following.call({**req.to_h, body: {swapped: 1}})

      def handler(req, _context) = {status: 200, body: [req.body.swapped, req.query_params.a]}
    RUBY
    Child.with(files) do |child|
      assert_equal [1, "2"], child.decode(child.answer(child.api("a", query: {"a" => "2"}))["body"])
    end
  end

  def test_a_handler_that_raises_is_shown_with_its_place
    files = {
      "lib/deep.rb" => "module Deep\n  def self.dive\n    [1].each { raise ArgumentError, 'too deep' }\n  end\nend",
      "a.step.rb" => "require_relative 'lib/deep'\n#{step("Deep.dive\nrescue ArgumentError\nraise 'outer'")}"
    }
    Child.with(files) do |child, project|
      error = child.answer(child.event("a"))
      assert_equal %w[handler_failed RuntimeError outer], error.values_at("code", "type", "message")
      frame = {"file" => project.path("a.step.rb"), "line" => 6, "function" => "handler"}
      assert_equal frame, error["frames"].first
      assert_match(/\ARuntimeError: outer\n    from .*a\.step\.rb:6/, error["trace"])
      assert_match(/^caused by ArgumentError: too deep\n    from .*deep\.rb:3/, error["trace"])
      refute_includes error["trace"], StepweaveRunner::Failure::OWN_FOLDER
    end
  end

  def test_everything_that_can_be_raised_is_answered
    cases = {
      "def dive(n) = dive(n + 1)\ndef handler(input, context) = dive(0)" => "SystemStackError",
      "def handler(input, context) = raise(NoMemoryError)" => "NoMemoryError",
      "def handler(input, context) = require('nothing_like_it')" => "LoadError",
      "def handler(input, context) = raise(NotImplementedError)" => "NotImplementedError",
      "def handler(input, context) = eval('1 +')" => "SyntaxError",
      "def handler(input, context) = throw(:ball)" => "UncaughtThrowError",
      "def handler(input, context) = raise(Interrupt)" => "Interrupt",
      "def handler(input, context) = Thread.current.kill" => "ThreadError",
      "def handler(input, context) = context.emit({})" => "TypeError",
      "def handler(input, context) = context.emit(topic: 't', data: STDIN)" => "StepweaveError",
      "Odd = Class.new(StandardError) { def message = raise('no') }\ndef handler(input, context) = raise(Odd)" => nil
    }
    Project.with({}) do |project|
      child = Child.new(project)
      cases.each_with_index do |(source, type), index|
        project.write("a.step.rb", CONFIG + source)
        child.load("a.step.rb", revision: index)
        error = child.answer(child.event("a", revision: index))
        assert_equal "handler_failed", error["code"], source
        assert_equal type, error["type"], source if type
        refute_empty error["message"]
      end
      assert_equal({}, child.ask("ping", {}))
      child.close
    end
  end

  def test_steps_that_are_not_there_are_refused
    Child.with({"a.step.rb" => CONFIG}) do |child|
      unknown = child.answer(child.event("never"))
      assert_equal ["unknown_step", "no step never is loaded"], unknown.values_at("code", "message")
      assert_equal "stale_revision", child.answer(child.event("a", revision: 99))["code"]
      assert_equal %w[handler_failed MissingHandler], child.answer(child.event("a")).values_at("code", "type")
      assert_equal "invalid_params", child.answer(child.invoke("a", "dream", {}))["code"]
      broken = child.answer(child.invoke("a", "event", {"data" => ["json", "{"]}))
      assert_equal "MissingHandler", broken["type"]
    end
  end

  def test_input_that_cannot_be_read_is_refused
    Child.with({"a.step.rb" => "#{CONFIG}def handler(input, context) = input"}) do |child|
      error = child.answer(child.invoke("a", "event", {"data" => ["json", "{"]}))
      assert_equal "invalid_payload", error["code"]
      assert_includes error["message"], "the input"
    end
  end

  def test_a_result_that_cannot_travel_is_left_out
    Child.with({"a.step.rb" => "#{CONFIG}def handler(input, context) = STDIN"}) do |child|
      assert_nil child.answer(child.event("a"))
      record = child.records(1).first
      assert_equal "debug", record["level"]
      assert_equal "the result of a is not kept: the value is a IO, which has no to_h", record["message"]
    end
  end

  def test_a_result_too_large_is_an_error
    Child.with({"a.step.rb" => "#{CONFIG}def handler(input, context) = 'x' * 5000"}, max_frame: 4096) do |child|
      error = child.answer(child.event("a"))
      assert_equal "too_large", error["code"]
      assert_includes error["message"], "4096"
      assert_equal({}, child.ask("ping", {}))
    end
  end
end
