# frozen_string_literal: true

require_relative "support/helper"

class PeerTest < Minitest::Test
  include StepweaveRunner

  # Remembers what it is asked, and answers ping.
  class Service
    attr_accessor :peer
    attr_reader :taken

    def initialize
      @taken = Thread::Queue.new
    end

    def busy? = false

    def request(id, method, params)
      @taken << [:request, id, method, params]
      @peer.answer(id, {}) if method == "ping"
    end

    def notification(method, params) = @taken << [:notification, method, params]
  end

  def setup
    @input, @theirs_out = IO.pipe(binmode: true)
    @theirs_in, @output = IO.pipe(binmode: true)
    @service = Service.new
    @peer = @service.peer = Peer.new(Connection.new(@input, @output), Crew.new(->(_) {}, -> {}))
    @peer.window = 100
    @reader = Thread.new { @peer.serve(@service) }
    @reader.report_on_exception = false
  end

  def teardown
    @theirs_out.close unless @theirs_out.closed?
    begin
      @reader.join
    rescue Malformed
      nil
    end
    [@input, @theirs_in, @output].each(&:close)
  end

  def test_a_request_is_answered
    send_frame([0, 7, "ping", {}])
    assert_equal [1, 7, nil, {}], read
    assert_equal [:request, 7, "ping", {}], @service.taken.pop
  end

  def test_a_notification_is_passed_on
    send_frame([2, "cancel", {"id" => 1}])
    assert_equal [:notification, "cancel", {"id" => 1}], @service.taken.pop
  end

  def test_a_call_gives_the_result
    call = Thread.new { @peer.call("state.get", {"key" => "k"}) }
    kind, id, method, params = read
    assert_equal [0, "state.get", {"key" => "k"}], [kind, method, params]
    send_frame([1, id, nil, ["json", "1".b]])
    assert_equal ["json", "1"], call.value
  end

  def test_a_result_of_nil_is_a_result
    call = Thread.new { [@peer.call("stream.send", {})] }
    send_frame([1, read[1], nil, nil])
    assert_equal [nil], call.value
  end

  def test_a_refused_call_raises_in_the_caller
    call = Thread.new { assert_raises(StepweaveError) { @peer.call("emit", {}) } }
    send_frame([1, read[1], {"code" => "not_declared", "message" => "no", "data" => {"topic" => "t"}}, nil])
    error = call.value
    assert_equal ["not_declared", "no", {"topic" => "t"}], [error.code, error.message, error.data]
    assert(error.backtrace.any? { |line| line.include?("peer_test.rb") })
  end

  def test_answers_may_come_in_any_order
    calls = Array.new(5) { |number| Thread.new { @peer.call("m", {"n" => number}) } }
    asked = Array.new(5) { read }.to_h { |_, id, _, params| [params["n"], id] }
    asked.sort.reverse_each { |number, id| send_frame([1, id, nil, number * 10]) }
    assert_equal [0, 10, 20, 30, 40], calls.map(&:value)
  end

  def test_no_more_calls_are_open_than_the_other_side_takes
    @peer.window = 2
    calls = Array.new(5) { Thread.new { @peer.call("m", {}) } }
    open = [read[1], read[1]]
    eventually { calls.count(&:stop?) == 5 }
    assert_equal :wait_readable, @theirs_in.read_nonblock(1, exception: false)
    3.times do
      send_frame([1, open.shift, nil, nil])
      open << read[1]
    end
    open.each { |id| send_frame([1, id, nil, nil]) }
    calls.each(&:join)
  end

  def test_a_call_that_is_too_large_leaves_its_place
    @peer.window = 1
    @peer.connection.peer_max_size = 100
    assert_raises(StepweaveError) { @peer.call("m", {"data" => "x" * 200}) }
    call = Thread.new { @peer.call("m", {}) }
    send_frame([1, read[1], nil, 3])
    assert_equal 3, call.value
  end

  def test_an_interrupted_call_does_not_disturb_the_next
    call = Thread.new do
      @peer.call("m", {})
    rescue Interrupt
      :interrupted
    end
    first = read[1]
    call.raise(Interrupt)
    assert_equal :interrupted, call.value
    second = Thread.new { @peer.call("m", {}) }
    id = read[1]
    send_frame([1, first, nil, "late"])
    send_frame([1, id, nil, "mine"])
    assert_equal "mine", second.value
  end

  def test_an_error_that_is_too_large_is_told_shorter
    @peer.connection.peer_max_size = 2_000
    @peer.refuse(1, {"code" => "handler_failed", "message" => "é" * 900, "trace" => "x" * 5000})
    @peer.connection.flush
    assert_equal [1, 1, {"code" => "handler_failed", "message" => "é" * 900}, nil], read
  end

  def test_a_frame_over_the_limit_is_answered
    @peer.connection.instance_variable_get(:@reader).max_size = 100
    send_frame([0, 9, "ping", {"pad" => "x" * 200}])
    kind, id, error, = read
    assert_equal [1, 9, "too_large"], [kind, id, error["code"]]
  end

  def test_another_shape_ends_the_session
    send_frame([3, 1, "ping", {}])
    error = assert_raises(Malformed) { @reader.join }
    assert_includes error.message, "ping"
  end

  def test_each_shape_of_the_vectors_ends_the_session
    vectors("frames.json")["invalid"].select { |vector| vector["error"] == "shape" }.each do |vector|
      value = Msgpack.unpack([vector["hex"]].pack("H*").byteslice(4..))
      assert_raises(Malformed, vector["name"]) { @peer.send(:receive, @service, value) }
    end
  end

  private

  def send_frame(value)
    body = Msgpack.pack(value)
    @theirs_out.write([body.bytesize].pack("N") + body)
  end

  def read = Msgpack.unpack(@theirs_in.read(@theirs_in.read(4).unpack1("N")))
end
