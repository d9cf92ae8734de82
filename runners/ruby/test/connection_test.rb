# frozen_string_literal: true

require_relative "support/helper"

class ConnectionTest < Minitest::Test
  include StepweaveRunner

  def setup
    @input, @theirs_out = IO.pipe(binmode: true)
    @theirs_in, @output = IO.pipe(binmode: true)
    @connection = Connection.new(@input, @output)
  end

  def teardown
    [@input, @theirs_out, @theirs_in, @output].each { |io| io.close unless io.closed? }
  end

  def test_frames_of_one_flush_leave_in_one_write
    3.times { |id| @connection.post([1, id, nil, nil]) }
    assert_equal :wait_readable, @theirs_in.read_nonblock(1, exception: false)
    @connection.flush
    taken = @theirs_in.readpartial(1000)
    assert_equal 27, taken.bytesize
    assert_equal [[1, 0, nil, nil], [1, 1, nil, nil], [1, 2, nil, nil]], frames(taken)
  end

  def test_many_or_large_frames_do_not_wait_for_a_flush
    @connection.post([1, 1, nil, "x" * Connection::HELD_SIZE])
    assert_equal 4, @theirs_in.read(4).bytesize
  end

  def test_nobody_waits_for_a_side_that_does_not_read
    values = Array.new(20) { |id| [1, id, nil, "x" * 100_000] }
    values.each { |value| @connection.post(value) }
    @connection.flush
    assert_operator @connection.waiting, :>, 0
    assert_equal values, read_frames(values.size)
    eventually { @connection.waiting.zero? }
  end

  def test_the_thread_that_finishes_a_write_can_be_ended
    before = Thread.list
    Thread.handle_interrupt(Peer::UNINTERRUPTED) do
      @connection.post([1, 1, nil, "x" * 1_000_000])
      @connection.flush
    end
    writer = (Thread.list - before).first
    assert_same ThreadGroup::Default, writer.group
    writer.kill
    assert writer.join
  end

  def test_frames_of_many_threads_do_not_mix
    threads = Array.new(8) do |number|
      Thread.new do
        50.times do |index|
          @connection.post([1, number, nil, [index, "y" * 3000]])
          @connection.flush
        end
      end
    end
    taken = read_frames(400)
    threads.each(&:join)
    8.times do |number|
      mine = taken.select { |frame| frame[1] == number }
      assert_equal (0...50).to_a, mine.map { |frame| frame[3][0] }
    end
  end

  def test_a_frame_that_the_other_side_does_not_take_is_refused
    @connection.peer_max_size = 100
    error = assert_raises(StepweaveError) { @connection.post([1, 1, nil, "x" * 200]) }
    assert_equal "too_large", error.code
    assert_includes error.message, "limit of 100"
    @connection.post([1, 2, nil, nil])
    @connection.flush
    assert_equal [[1, 2, nil, nil]], read_frames(1)
  end

  def test_it_reads_until_the_end
    @theirs_out.write(frame([0, 1, "ping", {}]) + frame([0, 2, "ping", {}]))
    values = []
    eventually { @connection.read { |value| values << value } && values.size == 2 }
    @theirs_out.close
    eventually { !@connection.read { flunk } }
  end

  def test_reading_waits_no_longer_than_it_is_told
    assert @connection.read(0.001) { flunk }
  end

  def test_it_tells_when_the_other_side_has_gone
    gone = false
    @connection.on_gone = -> { gone = true }
    @theirs_in.close
    @connection.post([1, 1, nil, nil])
    @connection.flush
    assert gone
  end

  private

  def frame(value)
    body = Msgpack.pack(value)
    [body.bytesize].pack("N") + body
  end

  def frames(bytes)
    values = []
    Frame::Reader.new.feed(bytes) { |value| values << value }
    values
  end

  def read_frames(count)
    Array.new(count) { Msgpack.unpack(@theirs_in.read(@theirs_in.read(4).unpack1("N"))) }
  end
end
