# frozen_string_literal: true

require_relative "errors"
require_relative "world"

module StepweaveRunner
  # The middleware of a project: files whose functions run around every API step. Each file is run once,
  # for the first step, and anew when it has changed.
  class Middleware
    FORM = "a middleware file defines: def middleware(req, context, following) = following.call"

    # `run` runs a file and gives the module of its definitions.
    def initialize(files, imports, run)
      @files = files
      @imports = imports
      @run = run
      @loaded = {}
    end

    # The functions for the step in a file, outermost first. An edit of the files is one of the step.
    def around(path)
      @files.each { |file| @imports.add(path, file) }
      @files.flat_map { |file| @loaded[file] ||= functions(file) }
    end

    # Runs these files, and those that import them, anew when they are asked for again.
    def forget(files)
      @loaded.delete_if { |file, _| @imports.reached_from(file).intersect?(files) }
    end

    private

    def functions(file)
      definitions = @run.call(file)
      world = World.of(definitions, file)
      given = World.constant(definitions, :MIDDLEWARE)
      if given.nil? && World.defines?(definitions, :middleware)
        given = world.method(:middleware)
        given = given.call if given.arity.zero?
      end
      found = Array(given).map { |one| one.is_a?(Symbol) ? world.method(one) : one }
      return found if found.any? && found.all? { |one| one.respond_to?(:call) }

      raise LoadFailed.new(FORM, file)
    end
  end
end
