# frozen_string_literal: true

module StepweaveRunner
  # Calls an author's function with as many of the arguments as it takes.
  module Call
    # How many of at most `offered` arguments the method, proc or object with `call` takes.
    def self.takes(function, offered)
      function = function.method(:call) unless function.respond_to?(:parameters)
      kinds = function.parameters.map(&:first)
      kinds.include?(:rest) ? offered : [kinds.count { |kind| %i[req opt].include?(kind) }, offered].min
    end

    def self.with(function, *arguments)
      function.call(*arguments.first(takes(function, arguments.size)))
    end
  end
end
