# frozen_string_literal: true

require_relative "evaluate"
require_relative "failure"
require_relative "gems"
require_relative "imports"
require_relative "middleware"
require_relative "schemas"
require_relative "step"
require_relative "values"

module StepweaveRunner
  # Step files: run, read for their config and functions, kept by handle and revision.
  #
  # 1. Each file runs inside a module of its own, so two steps may define the same names. Not with
  #    `load(path, module)`: Ruby then looks for the method of `private def …` in Object.
  # 2. What they require is shared, and stays: a changed helper needs a new process.
  # 3. Older revisions stay until they are unloaded.
  class Loader
    # `failure` knows the project's folder, `middleware` are the files of functions around all API steps.
    def initialize(root, failure, middleware = [])
      @failure = failure
      @imports = Imports.new(failure)
      @imports.install
      @middleware = Middleware.new(middleware, @imports, method(:run))
      @steps = Hash.new { |hash, handle| hash[handle] = {} }
      @paths = {}
      @turn = Mutex.new
      $LOAD_PATH.push(root, File.join(root, "lib"))
      Gems.autoload
    end

    # Runs a step file and returns the answer to `load`. Raises what the file raises.
    def load(handle, path, revision)
      @turn.synchronize do
        @paths[handle] = path
        raise LoadFailed.new(Gems.problem, Gems.gemfile) if Gems.problem

        step = Step.new(handle, revision, path, run(path))
        step.surround(@middleware.around(path)) if step.api?
        answer = describe(step)
        @steps[handle][revision] = step
        answer
      end
    end

    # Forgets one revision of a step, or all of them. What is not there is no error.
    def unload(handle, revision)
      @turn.synchronize do
        @steps[handle].delete(revision)
        @steps[handle].clear if revision.nil?
        next unless @steps[handle].empty?

        @steps.delete(handle)
        @paths.delete(handle)
      end
    end

    # Which steps the files reach, and whether a new process is needed because what they held is
    # loaded for good.
    def changed(paths)
      return {"steps" => @paths.keys, "restart" => true} if paths.any? { |path| Gems.decides?(path) }

      files = paths.map { |path| @imports.real(path) }
      @turn.synchronize { @middleware.forget(files) }
      # A copy, since a load may add to it meanwhile.
      reached = @paths.to_a.select { |_, path| @imports.reached_from(path).intersect?(files) }
      {"steps" => reached.map(&:first), "restart" => files.any? { |file| $LOADED_FEATURES.include?(file) }}
    end

    # The step with this handle and revision, or with the newest one. Raises unknown_step or stale_revision.
    def find(handle, revision)
      revisions = @steps.fetch(handle) { raise StepweaveError.new("unknown_step", "no step #{handle} is loaded") }
      revision ||= revisions.keys.max
      revisions.fetch(revision) do
        raise StepweaveError.new("stale_revision", "revision #{revision} of #{handle} is not loaded")
      end
    end

    private

    def run(path)
      @imports.forget(path)
      definitions = Module.new
      # So that a line at the top may use what the file defines.
      definitions.extend(definitions)
      EVALUATE.call(definitions, source(path), path, 1)
      definitions
    rescue SystemExit => e
      failed = LoadFailed.new("the file called exit while it was loaded", path)
      failed.set_backtrace(e.backtrace)
      raise failed
    end

    def source(path)
      File.read(path, encoding: "bom|utf-8")
    rescue SystemCallError => e
      raise LoadFailed.new("#{path} cannot be read: #{e.class.new.message}", path)
    end

    def describe(step)
      config, warnings = Schemas.convert(step.config)
      warnings.push(*step.parsing.warning)
      {
        "config" => Values.encode_json(config), "exports" => step.exports, "warnings" => warnings,
        "watch" => watched(step.path)
      }
    end

    # The project's files whose change reaches the step, as the orchestrator writes them.
    def watched(path)
      files = [*@imports.reached_from(path), *Gems.files].filter_map { |file| @failure.within_root(file) }
      [path, *files].uniq.sort
    end
  end
end
