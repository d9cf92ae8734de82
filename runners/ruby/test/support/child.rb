# frozen_string_literal: true

require "rbconfig"

# A runner as a child process, started as its manifest says, and the orchestrator's end of its pipes.
class Child
  TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
  MANIFEST = JSON.parse(File.read(File.expand_path("../../runner.json", __dir__)))
  FOLDER = File.expand_path("../..", __dir__)

  # The child's log records, and its calls that nobody has taken yet.
  attr_reader :logs, :calls

  attr_reader :pid, :info

  # `window` and `max_frame` are the limits that the orchestrator claims.
  def initialize(project, environment: {}, window: 1000, max_frame: 1 << 24, handshake: true)
    @project = project
    @logs = []
    @results = {}
    @calls = []
    @last_id = 0
    start(environment)
    @info = initialize_session(window: window, max_frame: max_frame) if handshake
  end

  # Runs the block with a child whose steps are loaded, and ends the child.
  def self.with(files, **options)
    Project.with(files) do |project|
      child = new(project, **options)
      begin
        child.load_all(files.keys) unless options[:handshake] == false
        yield child, project
      ensure
        child.close
      end
    end
  end

  def initialize_session(protocol: [1, 1], window: 1000, max_frame: 1 << 24)
    ask("initialize", {
      "protocol" => protocol, "orchestrator" => {"name" => "test", "version" => "1"}, "root" => @project.root,
      "environment" => "development", "max_frame" => max_frame, "window" => window, "capabilities" => {}
    })
  end

  def load(path, revision: 1, step: handle(path))
    ask("load", {"step" => step, "path" => @project.path(path), "revision" => revision})
  end

  def load_all(paths)
    paths.each { |path| load(path) if path.end_with?(".step.rb", ".stream.rb") }
  end

  def handle(path) = File.basename(path)[/\A\w+/]

  # Invocations are begun here and end in `answer(id)`.
  def event(step, data = nil, revision: 1, attempt: 1)
    input = {"topic" => "t", "data" => ["json", JSON.generate(data).b], "event" => "e"}
    invoke(step, "event", input, revision, attempt)
  end

  def api(step, method: "GET", path: "/", query: {}, headers: {}, params: {}, body: nil)
    invoke(step, "api", {
      "method" => method, "path" => path, "params" => params, "query" => query, "headers" => headers, "body" => body
    })
  end

  def cron(step) = invoke(step, "cron", {"scheduled" => 1_764_100_000_000})

  def invoke(step, kind, input, revision = 1, attempt = 1)
    request("invoke", {
      "step" => step, "revision" => revision, "kind" => kind, "input" => input, "trace" => TRACE, "attempt" => attempt
    })
  end

  # The value that an event's handler returned.
  def value(step, data = nil, **options)
    answered = answer(event(step, data, **options))
    raise answered.inspect if answered.is_a?(Hash)

    decode(answered)
  end

  def decode(payload) = StepweaveRunner::Values.decode(payload)

  # The answer to a request; an error comes as its map. Calls that the child makes meanwhile are
  # given to the block, whose value is the answer; without one they wait in `call`.
  def ask(method, params, &serve) = answer(request(method, params), &serve)

  def request(method, params)
    @last_id += 1
    send_frame([0, @last_id, method, params])
    @last_id
  end

  def answer(id, &serve)
    until @results.key?(id)
      read
      reply(@calls.shift, &serve) while serve && !@calls.empty?
    end
    @results.delete(id)
  end

  # The numbers by which the system knows the two pipes.
  def wire = [@input, @output].map { |io| io.stat.ino }

  # Whether an answer has come that nobody has taken.
  def answered?(id) = @results.key?(id)

  # The next call that the child makes: [id, method, params].
  def call
    read while @calls.empty?
    @calls.shift
  end

  def reply(call)
    result = yield(call[1], call[2])
    send_frame([1, call[0], nil, result])
  end

  def refuse(call, code, message) = send_frame([1, call[0], {"code" => code, "message" => message}, nil])

  def cancel(id, reason = "client") = send_frame([2, "cancel", {"id" => id, "reason" => reason}])

  # Records that the child has sent, once there are so many.
  def records(count)
    read while @logs.size < count
    @logs
  end

  def send_frame(value) = send_bytes(StepweaveRunner::Msgpack.pack(value))

  def send_bytes(bytes)
    @input.write([bytes.bytesize].pack("N"), bytes)
    @input.flush
  end

  # Reads one frame. Raises EOFError when the child has gone.
  def read
    size = @output.read(4) or raise EOFError, "the child has left: #{stderr}"
    kind, id, third, fourth = StepweaveRunner::Msgpack.unpack(@output.read(size.unpack1("N")))
    case kind
    when 0 then @calls << [id, third, fourth]
    when 1 then @results[id] = third || fourth
    else @logs << third
    end
  end

  def stderr = @errors.tap(&:rewind).read

  # Closes the child's input and returns its exit status.
  def close
    @input.close unless @input.closed?
    status
  end

  # Waits until the child has ended by itself.
  def status
    @status ||= Process.wait2(@pid).last
    [@input, @output].each { |io| io.close unless io.closed? }
    @status
  end

  # For a test that hangs: says what the child does, and ends it.
  def tell_and_kill
    return if @status

    STDERR.puts("", "child #{@pid}: #{File.read("/proc/#{@pid}/status")[/State:.*/]}, has written:", stderr)
    Process.kill(:KILL, @pid)
  rescue SystemCallError
    # It has ended just now.
  end

  private

  def start(environment)
    theirs, @input = IO.pipe(binmode: true)
    @output, ours = IO.pipe(binmode: true)
    @errors = File.open(File.join(@project.root, "stderr.txt"), "w+")
    @pid = Process.spawn(
      {"STEPWEAVE_ROOT" => @project.root}.merge(environment), *command,
      in: theirs, out: ours, err: @errors, chdir: @project.root
    )
    theirs.close
    ours.close
  end

  def command
    MANIFEST["argv"].map { |part| part.sub("{interpreter}", RbConfig.ruby).sub("{dir}", FOLDER) }
  end
end
