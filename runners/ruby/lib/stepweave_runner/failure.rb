# frozen_string_literal: true

require_relative "errors"
require_relative "text"

module StepweaveRunner
  # Tells the orchestrator what user code raised: type, message, trace, and where in the project.
  class Failure
    LONGEST_TRACE = 60
    OWN_FOLDER = "#{File.expand_path("..", __dir__)}/"
    FOREIGN = %r{/(?:vendor/bundle|\.bundle|node_modules)/}
    LINE = /\A(?<file>.+?):(?<line>\d+)(?::in [`'](?<function>.*)')?/

    # `root` is the project's folder, as the orchestrator names it.
    def initialize(root)
      @root = root.chomp("/")
      @real_root = File.realpath(@root)
    rescue SystemCallError
      @real_root = @root
    end

    # The error map for what a handler raised.
    def describe(error, code = "handler_failed")
      {
        "code" => code,
        "message" => message(error),
        "type" => type(error),
        "trace" => trace(error),
        "frames" => frames(error)
      }
    end

    # The error map for what loading a file raised; `data` holds the place in the author's code.
    def describe_load(error, path)
      described = describe(error, "load_failed")
      file, line = place(error, described["frames"])
      described["data"] = {"file" => file || path}
      described["data"]["line"] = line if line
      described
    end

    # Whether the file is the project's own. Gems installed inside the project are not.
    def project_file?(path) = !within_root(path).nil?

    # A path inside the project as the orchestrator writes it, whatever links lead there; or nil.
    def within_root(path)
      return if path.nil? || FOREIGN.match?(path)
      return path if path.start_with?("#{@root}/")

      @root + path.delete_prefix(@real_root) if path.start_with?("#{@real_root}/")
    end

    private

    def type(error) = error.class.to_s.delete_prefix("StepweaveRunner::")

    def message(error)
      Text.utf8(error.message)
    rescue StandardError => e
      "an error that has no message (#{e.class})"
    end

    # Innermost first, the project's own files only.
    def frames(error)
      lines = (error.backtrace || []).first(2_000).filter_map do |text|
        match = LINE.match(text)
        file = match && within_root(match[:file])
        file && {"file" => Text.utf8(file), "line" => match[:line].to_i, "function" => function(match[:function])}
      end
      lines.first(LONGEST_TRACE)
    end

    # "block in Reports#handler" is handler's.
    def function(label)
      Text.utf8(label || "").sub(/\A(?:(?:block|rescue|ensure).* in )/, "").sub(/\A.*[#.]/, "")
    end

    # As Ruby prints it, without the runner's own frames.
    def trace(error)
      parts = []
      while error && parts.size < 5
        parts << "#{"caused by " unless parts.empty?}#{error.class}: #{message(error)}"
        parts.concat(shown(error.backtrace || []))
        error = error.cause
      end
      Text.utf8(parts.join("\n"))
    end

    def shown(backtrace)
      lines = backtrace.reject { |line| line.start_with?(OWN_FOLDER, "<internal:") }
      more = lines.size - LONGEST_TRACE
      lines = lines.first(LONGEST_TRACE).map { |line| "    from #{Text.utf8(line)}" }
      more.positive? ? lines << "    … #{more} more" : lines
    end

    # Of a syntax error, which stands in its message; else of the innermost frame in the project.
    def place(error, frames)
      return [error.file, frames.first&.fetch("line")] if error.is_a?(LoadFailed)

      if error.is_a?(SyntaxError) && (match = LINE.match(message(error)))
        return [within_root(match[:file]) || match[:file], match[:line].to_i]
      end

      first = frames.first
      first && [first["file"], first["line"]]
    end
  end
end
