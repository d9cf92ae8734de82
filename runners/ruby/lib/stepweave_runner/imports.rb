# frozen_string_literal: true

module StepweaveRunner
  # Which of the project's files require which. Ruby tells what is loaded but not by whom, and says
  # nothing when a second step requires a file that is there already; so Kernel#require,
  # #require_relative and #load are wrapped, as Bootsnap and Zeitwerk do.
  class Imports
    # `project` answers whether a path is the project's (Failure).
    def initialize(project)
      @project = project
      @imported = Hash.new { |hash, file| hash[file] = {} }
    end

    # Begins to watch. There is one for the process, and no way back.
    def install
      imports = self
      Kernel.module_eval do
        # The aliases also tell Ruby that redefining the three is meant.
        alias_method :unwatched_require, :require
        alias_method :unwatched_load, :load
        alias_method :unwatched_require_relative, :require_relative

        define_method(:require) do |feature|
          imports.required(caller_locations(1, 1), feature)
          unwatched_require(feature)
        end

        define_method(:require_relative) do |feature|
          unwatched_require(imports.relative(caller_locations(1, 1), feature))
        end

        define_method(:load) do |file, wrap = false|
          imports.loaded(caller_locations(1, 1), file)
          unwatched_load(file, wrap)
        end

        private :require, :require_relative, :load
        private :unwatched_require, :unwatched_load, :unwatched_require_relative
      end
    end

    # Notes a `require`, made at the first of these places.
    def required(places, feature)
      importer = project_file(places)
      note(importer, $LOAD_PATH.resolve_feature_path(feature)&.last) if importer
    end

    # Notes a `require_relative` and returns the absolute path, which is looked up from where it stands.
    def relative(places, feature)
      from = file_of(places)
      raise LoadError, "cannot infer basepath" unless from&.start_with?("/")

      feature = feature.respond_to?(:to_path) ? feature.to_path : feature
      path = File.expand_path(feature, File.dirname(from))
      note(from, path.end_with?(".rb", ".so") ? path : "#{path}.rb") if project_file(places)
      path
    end

    # Notes a `load`.
    def loaded(places, file)
      importer = project_file(places)
      note(importer, File.expand_path(file)) if importer && File.file?(file)
    end

    # Notes that a file depends on another one that it does not require itself.
    def add(importer, imported) = note(importer, imported)

    # Forgets what a file required, because it is about to be run again.
    def forget(file) = @imported.delete(real(file))

    # All files that a file reaches, itself included.
    def reached_from(file)
      found = {real(file) => true}
      queue = found.keys
      while (file = queue.shift)
        @imported.fetch(file, {}).each_key do |imported|
          queue << imported unless found.key?(imported)
          found[imported] = true
        end
      end
      found.keys
    end

    # The path by which Ruby knows a file, which may have been deleted.
    def real(file)
      File.realpath(file)
    rescue SystemCallError
      folder = File.dirname(file)
      folder == file ? file : File.join(real(folder), File.basename(file))
    end

    private

    # The file of the first place. A step file is evaluated, so it has a path alone.
    def file_of(places)
      place = places&.first
      place && (place.absolute_path || place.path)
    end

    # The same, if it is the project's.
    def project_file(places)
      file = file_of(places)
      file if @project.project_file?(file)
    end

    def note(importer, imported)
      return if imported.nil?

      imported = real(imported)
      @imported[real(importer)][imported] = true if @project.project_file?(imported)
    end
  end
end
