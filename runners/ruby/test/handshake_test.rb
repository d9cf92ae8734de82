# frozen_string_literal: true

require_relative "support/helper"

class HandshakeTest < Minitest::Test
  def test_initialize_introduces_the_runner
    Child.with({}) do |child|
      runner = child.info["runner"]
      assert_equal ["ruby", "ruby", RUBY_VERSION], runner.values_at("name", "language", "language_version")
      assert_equal [1, [".rb"], 1 << 24], child.info.values_at("protocol", "extensions", "max_frame")
      assert_equal %w[authorize cancel concurrent console middleware parse reload streaming], child.info["capabilities"].keys.sort
      assert_equal StepweaveRunner::Msgpack::NAME, runner["msgpack"]
    end
  end

  def test_requests_before_it_are_refused
    Child.with({}, handshake: false) do |child|
      assert_equal "not_initialized", child.ask("ping", {})["code"]
      assert_equal 1, child.initialize_session(protocol: [1, 7])["protocol"]
      assert_equal({}, child.ask("ping", {}))
      assert_equal "invalid_params", child.initialize_session["code"]
    end
  end

  def test_no_common_version_is_refused_with_both_ranges
    Child.with({}, handshake: false) do |child|
      error = child.initialize_session(protocol: [98, 99])
      assert_equal "unsupported_version", error["code"]
      assert_match(/98 to 99.*1 to 1/, error["message"])
      assert_equal "internal", child.initialize_session(protocol: [nil, {}])["code"]
      assert_equal 1, child.initialize_session["protocol"]
    end
  end

  def test_what_is_not_known_is_answered_or_ignored
    Child.with({}) do |child|
      error = child.ask("divine", {"question" => "why"})
      assert_equal "unknown_method", error["code"]
      assert_includes error["message"], "divine"
      child.send_frame([2, "rumour", {}])
      assert_equal({}, child.ask("ping", {}))
    end
  end

  def test_a_missing_field_is_named
    Child.with({}) do |child|
      [["load", "step"], ["changed", "paths"], ["invoke", "step"], ["shutdown", "grace_ms"]].each do |method, field|
        error = child.ask(method, {})
        assert_equal "invalid_params", error["code"], method
        assert_includes error["message"], field
      end
    end
  end

  def test_bytes_that_are_no_value_end_the_session
    Project.with({}) do |project|
      child = Child.new(project)
      child.send_bytes("hello\n")
      refute_predicate child.status, :success?
      assert_match(/protocol_error.*hello/, child.stderr)
    end
  end

  def test_another_shape_ends_the_session
    Project.with({}) do |project|
      child = Child.new(project)
      child.send_frame([7, 1, "ping", {}])
      refute_predicate child.status, :success?
      assert_includes child.stderr, "protocol_error"
    end
  end

  def test_a_frame_over_the_limit_is_skipped
    Child.with({}) do |child|
      id = child.request("ping", {"pad" => "x" * (1 << 24)})
      assert_equal "too_large", child.answer(id)["code"]
      child.send_frame([2, "log", {"pad" => "x" * (1 << 24)}])
      assert_equal({}, child.ask("ping", {}))
      assert_includes child.stderr, "too_large"
    end
  end
end
