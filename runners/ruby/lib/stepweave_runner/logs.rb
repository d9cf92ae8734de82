# frozen_string_literal: true

require_relative "text"
require_relative "values"

module StepweaveRunner
  # Log records on their way to the orchestrator: the only traffic without a bound, so it has one
  # here. When they pile up, who says them is held up, and debug is dropped first; errors never are
  # (SPEC 6.3).
  class Logs
    LIMITS = {"debug" => 1_000, "info" => 2_000, "warn" => 4_000, "error" => Float::INFINITY}.freeze
    LONGEST_MESSAGE = 64 * 1024

    # From so many waiting frames on a thread is held up for each record, this long in seconds: what
    # waits is in the way of others' answers.
    MANY = 1_000
    MOMENT_S = 0.001

    def initialize(peer)
      @peer = peer
      @dropped = 0
    end

    # Says a record of the scope with this id, or of none.
    def write(scope, level, message, fields = nil, source = nil)
      return STDERR.write("#{Text.utf8(message)}\n") if @peer.connection.abandoned?

      waiting = @peer.connection.waiting
      # The main thread is the one that reads.
      sleep(MOMENT_S) if waiting > MANY && !Thread.current.equal?(Thread.main)
      if waiting > LIMITS.fetch(level)
        @dropped += 1
        return
      end
      record = {"level" => level, "message" => cut(Text.utf8(message)), "at" => now_ms}
      record["scope"] = scope if scope
      record["source"] = source if source
      record["fields"] = encode(fields) unless fields.nil?
      record["dropped"] = take_dropped if @dropped.positive?
      send_off(record)
    end

    private

    def now_ms = Process.clock_gettime(Process::CLOCK_REALTIME, :millisecond)

    def take_dropped
      dropped, @dropped = @dropped, 0
      dropped
    end

    # A JSON object; a value that cannot be written says so in its place.
    def encode(fields)
      fields = {"data" => fields} unless fields.is_a?(Hash) || fields.is_a?(Exception) || fields.is_a?(Struct)
      Values.encode_json(fields)
    rescue StepweaveError => e
      Values.encode_json({"unreadable" => e})
    end

    def cut(message)
      return message if message.size <= LONGEST_MESSAGE

      "#{message.slice(0, LONGEST_MESSAGE)}… (#{message.size} characters)"
    end

    # What belongs to no scope leaves at once, since nobody may be about to flush.
    def send_off(record)
      @peer.notify("log", record, flush: !record.key?("scope"))
    rescue StepweaveError
      raise if record["fields"].nil?

      # The fields alone can be longer than a frame.
      record["fields"] = ["json", '{"stepweave":"fields too large for a log record"}'.b]
      retry
    end
  end
end
