# frozen_string_literal: true

require_relative "crew"
require_relative "failure"
require_relative "forks"
require_relative "invocations"
require_relative "leave"
require_relative "loader"
require_relative "logs"
require_relative "output"
require_relative "peer"
require_relative "version"

module StepweaveRunner
  # Serves what the orchestrator asks (SPEC 9).
  #
  # 1. The main thread reads. It answers itself what takes no time.
  # 2. Everything that runs user code is a job of the crew.
  class Host
    PROTOCOL = 1

    # Requests that the orchestrator may have open. Handlers that wait cost a thread each.
    WINDOW = 256

    CAPABILITIES = %w[concurrent cancel reload console authorize parse streaming middleware].freeze

    INITIALIZE = {"protocol" => Array, "root" => String, "max_frame" => Integer, "window" => Integer}.freeze
    INVOKE = {"step" => String, "revision" => Integer, "kind" => String, "input" => Hash}.freeze
    KINDS = {"api" => true, "event" => true, "cron" => true}.freeze

    # Requests that are jobs, and the fields they need.
    JOBS = {
      "load" => {"step" => String, "path" => String, "revision" => Integer},
      "unload" => {"step" => String},
      "changed" => {"paths" => Array},
      "authorize" => {"step" => String, "kind" => String},
      "shutdown" => {"grace_ms" => Numeric}
    }.freeze

    WORDS = {
      String => "text", Integer => "an integer", Numeric => "a number", Array => "a list", Hash => "a map"
    }.freeze

    def initialize(connection)
      @connection = connection
      @crew = Crew.new(method(:perform), connection.method(:flush))
      @peer = Peer.new(connection, @crew)
      @logs = Logs.new(@peer)
      connection.more_to_come = @crew.method(:waiting?)
      @ready = false
      @stopping = false
    end

    # Runs until the orchestrator is gone; does not return.
    def run
      make_room
      Leave.guard
      Console.capture
      @connection.on_gone = -> { exit!(0) }
      Forks.guard(@connection)
      @peer.serve(self)
      # After a shutdown there is time for what user code has asked for with at_exit.
      @stopping ? exit(0) : exit!(0)
    rescue Malformed => e
      STDERR.write("protocol_error: #{e.message}\n")
      exit!(1)
    end

    # Whether handlers run, which may have left frames to be flushed.
    def busy? = @ready && @invocations.any?

    # Takes a request from the reader. Whatever is wrong with it, the reader goes on.
    def request(id, method, params)
      return first(id, method, params) unless @ready

      if method == "invoke" then accept(id, params)
      elsif method == "ping" then @peer.answer(id, {})
      elsif JOBS.key?(method)
        @stopping = true if method == "shutdown"
        @crew.add([id, method, params])
      elsif method == "initialize" then refuse(id, "invalid_params", "initialize has been answered already")
      else refuse(id, "unknown_method", "the Ruby runner does not serve #{method}")
      end
    rescue StandardError => e
      refuse(id, "internal", "#{method}: #{e.message}")
    end

    # Takes a notification from the reader.
    def notification(method, params)
      @invocations.cancel(params["id"], params["reason"].to_s) if method == "cancel" && @ready
    end

    private

    def refuse(id, code, message) = @peer.refuse(id, {"code" => code, "message" => message})

    def first(id, method, params)
      return refuse(id, "not_initialized", "#{method} came before initialize") unless method == "initialize"

      @peer.answer(id, begin_session(params))
      @ready = true
    rescue StepweaveError => e
      refuse(id, e.code, e.message)
    end

    def accept(id, params)
      return refuse(id, "shutting_down", "the Ruby runner is stopping") if @stopping

      @crew.add([id, "invoke", params, @invocations.open(id)])
    end

    # Does one job, in a thread of the crew.
    def perform(job)
      id, method, params, scope = job
      return invoke(scope, params) if scope

      need(params, JOBS[method])
      @peer.answer(id, __send__(method, params))
    rescue Refused => e
      @peer.refuse(id, e.error)
    rescue StepweaveError => e
      refuse(id, e.code, e.message)
    rescue SystemExit => e
      leave(e)
    rescue Exception => e
      @peer.refuse(id, @failure.describe(e, "internal"))
    ensure
      # A child that a handler forked, and that came to the handler's end.
      exit!(0) if @connection.abandoned?
      @connection.flush_soon
    end

    # `initialize`
    def begin_session(params)
      need(params, INITIALIZE)
      oldest, newest = params["protocol"].map { |version| Integer(version) }
      unless PROTOCOL.between?(oldest, newest)
        message = "the orchestrator speaks protocol #{oldest} to #{newest}, this runner #{PROTOCOL} to #{PROTOCOL}"
        raise StepweaveError.new("unsupported_version", message)
      end

      @connection.peer_max_size = params["max_frame"]
      @peer.window = params["window"]
      @peer.streaming = !!params["capabilities"]&.fetch("streaming", false)
      @failure = Failure.new(params["root"])
      @loader = Loader.new(params["root"], @failure, params["middleware"] || [])
      @invocations = Invocations.new(@peer, @logs, @failure, method(:leave))
      introduction
    end

    def introduction
      {
        "protocol" => PROTOCOL,
        "runner" => {
          "name" => "ruby", "version" => VERSION, "language" => "ruby", "language_version" => RUBY_VERSION,
          "msgpack" => Msgpack::NAME
        },
        "extensions" => [".rb"],
        "max_frame" => @connection.max_size,
        "window" => WINDOW,
        "capabilities" => CAPABILITIES.to_h { |name| [name, true] }
      }
    end

    def load(params)
      @loader.load(params["step"], params["path"], params["revision"])
    rescue Exception => e
      raise Refused, @failure.describe_load(e, params["path"])
    end

    def unload(params)
      @loader.unload(params["step"], params["revision"])
      nil
    end

    def changed(params) = @loader.changed(params["paths"])

    def invoke(scope, params)
      refuse_invocation(params) unless invocation?(params)
      step = @loader.find(params["step"], params["revision"])
    rescue StepweaveError => e
      @invocations.refuse(scope, {"code" => e.code, "message" => e.message})
    else
      @invocations.run(scope, step, params)
    end

    def invocation?(params)
      String === params["step"] && Integer === params["revision"] && Hash === params["input"] &&
        KINDS.key?(params["kind"])
    end

    # Says what is wrong with it.
    def refuse_invocation(params)
      need(params, INVOKE)
      raise StepweaveError.new("invalid_params", "kind must be api, event or cron, but it is #{params["kind"]}")
    end

    def authorize(params)
      step = @loader.find(params["step"], params["revision"])
      input = Values.decode(params["input"])
      Values.encode(step.authorize(params["kind"], input))
    rescue StepweaveError, Refused, SystemExit
      raise
    rescue Exception => e
      raise Refused, @failure.describe(e)
    end

    def shutdown(params)
      @invocations.wind_up(params["grace_ms"])
      nil
    end

    # Ends the process as `exit` does, once what was logged before is written.
    def leave(exit)
      exit!(exit.status) if @connection.abandoned?

      @connection.flush_fully
      Thread.main.raise(exit)
    end

    def need(params, fields)
      fields.each do |name, kind|
        next if kind === params[name]

        raise StepweaveError.new("invalid_params", "#{name} must be #{WORDS[kind]}, but it is #{params[name].inspect}")
      end
    end

    # Grows Ruby's heap once, which it keeps. A heap that small handlers just fit in is collected every
    # few hundred calls, which took a fifth of their time.
    def make_room
      Array.new(40_000) { Object.new }
      nil
    end
  end
end
