# frozen_string_literal: true

require "io/wait"
require_relative "frame"

module StepweaveRunner
  # The pipe to the orchestrator: frames in from one IO, frames out to another.
  #
  # 1. Frames are posted to a queue; a flush hands all of them to the system in one write.
  # 2. Nobody waits for the other side to read: a write that is not taken at once is finished by a
  #    thread of its own.
  #
  # Safe to post to from any thread. The caller sees to it that a thread is not interrupted
  # meanwhile (Thread.handle_interrupt).
  class Connection
    READ_SIZE = 64 * 1024

    # What is larger, or more frames, does not wait for a flush.
    HELD_SIZE = 64 * 1024
    HELD_COUNT = 256

    # How long a frame may wait for others to leave with, in seconds.
    HELD_S = 0.001

    # The longest frame that the other side takes.
    attr_accessor :peer_max_size

    # The longest frame that this side takes.
    def max_size = @reader.max_size

    # Called once writing fails because the other side has gone.
    attr_writer :on_gone

    # Answers whether somebody is about to post more frames, and to flush.
    attr_writer :more_to_come

    def initialize(input, output)
      @input = input
      @output = output
      @reader = Frame::Reader.new
      @piece = String.new(capacity: READ_SIZE, encoding: Encoding::BINARY)
      @more_to_read = false
      @peer_max_size = Frame::MAX_SIZE
      @codec = Msgpack::CODEC.new
      @lock = Mutex.new
      @queue = []
      @held = 0
      @unfinished = nil
      @writable = ConditionVariable.new
      @writer = nil
      @held_since = 0
      @on_gone = -> {}
      @more_to_come = -> { false }
    end

    # Waits for input, at most `timeout` seconds, and yields each frame that has arrived.
    # Returns false at the end of the stream. Raises Malformed.
    def read(timeout = nil, &receive)
      return true unless @more_to_read || @input.wait_readable(timeout)

      taken = @input.read_nonblock(READ_SIZE, @piece, exception: false)
      return false if taken.nil?

      @more_to_read = taken.is_a?(String) && taken.bytesize == READ_SIZE
      @reader.feed(taken, &receive) if taken.is_a?(String)
      true
    rescue Errno::ECONNRESET
      false
    end

    # Queues a frame. Raises too_large, and queues nothing, if it is longer than the other side takes.
    def post(value)
      raise StepweaveError.new("internal", "a forked process cannot use the context of its parent") if abandoned?

      @lock.synchronize do
        bytes = @codec.pack(value)
        size = bytes.bytesize
        raise too_large(size) if size > @peer_max_size

        @held_since = now if @queue.empty?
        @queue << [size].pack("N") << bytes
        @held += size
        write if @held > HELD_SIZE || @queue.size > HELD_COUNT * 2
      end
    end

    # Writes what is queued, unless an earlier write is under way; then its end does so.
    def flush
      @lock.synchronize { write } unless @queue.empty?
    end

    # The same, but not if more frames are on their way and none has waited long.
    def flush_soon
      flush unless @more_to_come.call && now - @held_since < HELD_S
    end

    # How many frames wait because the other side does not read.
    def waiting = @unfinished ? @queue.size / 2 : 0

    # Writes what is queued and waits until it is taken. For the end of the process.
    def flush_fully
      flush
      sleep 0.001 while @unfinished
    end

    # In a forked child: the wire is the parent's.
    def abandon
      @input.close
      @output.close
      @output = nil
    end

    def abandoned? = @output.nil?

    private

    def write
      return if @unfinished || @queue.empty? || @output.nil?

      bytes = @queue.join
      @queue.clear
      @held = 0
      rest = written(bytes)
      return if rest.nil?

      @unfinished = rest
      @writer ||= Thread.new { finish }
      @writable.signal
    end

    # Writes as much as is taken at once and returns the rest, or nil.
    def written(bytes)
      count = @output.write_nonblock(bytes, exception: false)
      return bytes if count == :wait_writable

      count < bytes.bytesize ? bytes.byteslice(count, bytes.bytesize - count) : nil
    rescue Errno::EPIPE, Errno::ECONNRESET
      @on_gone.call
      nil
    end

    # The writer's life: ends what others began. It has its interrupts from the thread that needed it
    # first, which held them back.
    def finish
      ThreadGroup::Default.add(Thread.current)
      Thread.handle_interrupt(Object => :immediate) do
        loop do
          @lock.synchronize { @writable.wait(@lock) until @unfinished }
          @output.wait_writable
          @lock.synchronize do
            @unfinished = written(@unfinished)
            write
          end
        end
      end
    rescue IOError
      # Closed under it: there is nobody to write to.
    end

    def now = Process.clock_gettime(Process::CLOCK_MONOTONIC)

    def too_large(size)
      StepweaveError.new(
        "too_large",
        "a frame of #{size} bytes is over the orchestrator's limit of #{@peer_max_size}; " \
        "pass a reference to large data instead"
      )
    end
  end
end
