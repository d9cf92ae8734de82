# frozen_string_literal: true

module StepweaveRunner
  # An object with the methods that a file defines, those defined on self included. Its class stays the
  # same for all runs, so that Ruby can cache.
  module World
    # `definitions` is the module that holds what the file defines, `name` what is shown of it.
    def self.of(definitions, name)
      Class.new do
        include definitions

        definitions.singleton_methods(false).each do |method|
          define_method(method) { |*given, **options, &block| definitions.send(method, *given, **options, &block) }
        end
        define_method(:inspect) { name }
      end.new
    end

    # Whether the file defines a method.
    def self.defines?(definitions, name)
      definitions.method_defined?(name) || definitions.private_method_defined?(name)
    end

    # A constant that the file defines, or nil.
    def self.constant(definitions, name)
      definitions.const_get(name, false) if definitions.const_defined?(name, false)
    end
  end
end
