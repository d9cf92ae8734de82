# frozen_string_literal: true

require_relative "connection"
require_relative "crew"
require_relative "errors"

module StepweaveRunner
  # One end of the conversation: requests both ways, answers, notifications (SPEC 3).
  #
  # 1. `serve` reads, and hands requests and notifications to the service; it never waits otherwise.
  # 2. `call` asks the other side and waits, in the caller's thread.
  # 3. `answer` and `refuse` answer what was asked. Their frames leave with the next flush.
  class Peer
    UNINTERRUPTED = {Object => :never}.freeze
    ID_LIMIT = 2**32

    # How long frames may be held while handlers run, in seconds.
    TICK_S = 0.01

    attr_reader :connection

    # Unanswered requests that the other side takes.
    attr_accessor :window

    # Whether the other side takes answers in parts.
    attr_accessor :streaming

    # `crew` decides when a thread goes on with its answer.
    def initialize(connection, crew)
      @connection = connection
      @crew = crew
      @window = 1
      @lock = Mutex.new
      @room = ConditionVariable.new
      @open = {}
      @last_id = 0
    end

    # Reads until the other side has gone. The service answers to `request(id, method, params)`,
    # `notification(method, params)` and `busy?`. Raises Malformed when what comes makes no sense.
    def serve(service)
      while @connection.read(service.busy? ? TICK_S : nil) { |value| receive(service, value) }
        @connection.flush_soon
      end
    end

    # Asks the other side; raises StepweaveError if it answers an error. Waits for the answer, and
    # before that for a place in the window.
    def call(method, params)
      error, result = Thread.handle_interrupt(UNINTERRUPTED) do
        answer = Crew::Answer.new
        ask(answer, method, params)
        @crew.await(answer)
      end
      return result if error.nil?

      raise StepweaveError.new(error["code"] || "internal", error["message"] || "refused", error["data"])
    end

    # Says something that is not answered. While handlers run it leaves with the next flush, soon in
    # any case.
    def notify(method, params, flush: false)
      Thread.handle_interrupt(UNINTERRUPTED) do
        @connection.post([2, method, params])
        @connection.flush if flush
      end
    end

    # Answers a request. Raises too_large if the result is over the other side's limit.
    def answer(id, result)
      @connection.post([1, id, nil, result])
    end

    # Answers a request with an error map.
    def refuse(id, error)
      @connection.post([1, id, error, nil])
    rescue StepweaveError
      # Only the trace or the message can be that long.
      message = error["message"].scrub.slice(0, 1_000)
      @connection.post([1, id, {"code" => error["code"], "message" => message}, nil])
    end

    private

    def ask(answer, method, params)
      id = register(answer)
      @connection.post([0, id, method, params])
      @connection.flush_soon
    rescue StepweaveError
      forget(id)
      raise
    end

    def register(answer)
      @lock.synchronize do
        Thread.handle_interrupt(Crew::WHILE_WAITING) { @room.wait(@lock) } while @open.size >= @window
        begin
          @last_id = (@last_id + 1) % ID_LIMIT
        end while @open.key?(@last_id)
        @open[@last_id] = answer
        @last_id
      end
    end

    def forget(id)
      @lock.synchronize do
        answer = @open.delete(id)
        @room.signal
        answer
      end
    end

    def receive(service, value)
      return oversize(value) if Frame::Oversize === value

      kind, second, third, fourth = value if Array === value
      if kind == 0 && value.size == 4 && id?(second) && String === third && Hash === fourth
        service.request(second, third, fourth)
      elsif kind == 1 && value.size == 4 && id?(second)
        settle(second, third, fourth)
      elsif kind == 2 && value.size == 3 && String === second && Hash === third
        service.notification(second, third)
      else
        raise Malformed, "no message looks like #{value.inspect.slice(0, 200)}"
      end
    end

    # An answer that nobody waits for any more is dropped.
    def settle(id, error, result)
      answer = forget(id)
      @crew.resume(answer, [error, result]) if answer
    end

    def id?(value) = Integer === value && value >= 0 && value < ID_LIMIT

    def oversize(frame)
      message = "a frame of #{frame.size} bytes is over this runner's limit"
      kind, id = frame.peek
      error = {"code" => "too_large", "message" => message}
      case kind
      when 0 then refuse(id, error)
      when 1 then settle(id, error, nil)
      else STDERR.write("too_large: #{message}; it was skipped\n")
      end
    end
  end
end
