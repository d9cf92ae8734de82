# frozen_string_literal: true

require_relative "operations"
require_relative "text"
require_relative "values"

module StepweaveRunner
  # Durable values by group and key. Each call returns when it is done.
  #
  #   state.set("orders", order.id, order)
  #   state.increment("counters", "orders")
  #   state.trace.set("step", 1)            # the same without the group, which is this trace
  #   state[:get].call("orders", order.id)  # each method as something to call
  class State
    NOT_GIVEN = Object.new.freeze
    private_constant :NOT_GIVEN

    def initialize(scope, trace_id)
      @scope = scope
      @trace_id = trace_id
    end

    # The value, or nil.
    def get(group, key) = Values.decode(call("get", group, key))

    # Stores a value and returns it. Options: ttl_ms, after which it is gone; expect, the value that it
    # replaces (nil: none). Raises `conflict` if another one is there.
    def set(group, key, value = NOT_GIVEN, given = nil, **options)
      # A hash without braces is the value, not options.
      value, options = options, {} if NOT_GIVEN.equal?(value)
      options = only("set", given, options, :ttl_ms, :expect)
      params = {"value" => Values.encode(value)}
      ttl = options[:ttl_ms]
      unless ttl.nil?
        raise TypeError, "state.set takes ttl_ms as a number, not #{ttl.inspect}" unless ttl.is_a?(Numeric)

        params["ttl_ms"] = ttl.round
      end
      params["expect"] = expected(options[:expect]) if options.key?(:expect)
      call("set", group, key, params)
      value
    end

    # Removes a value and returns it, or nil.
    def delete(group, key) = Values.decode(call("delete", group, key))

    # The values of a group, ordered by key. Options: limit, how many at most; after, the key after
    # which they begin. `next` of a full page is the `after` of the next one.
    def get_group(group, given = nil, **options)
      options = only("get_group", given, options, :after, :limit)
      params = {"group" => Text.name(group, "group")}
      params["after"] = Text.name(options[:after], "key after which the page begins") unless options[:after].nil?
      params["limit"] = options[:limit] unless options[:limit].nil?
      pairs = @scope.call("state.list", params)
      values = Page.new(pairs.map { |_, value| Values.decode(value) })
      values.next = pairs.last[0] if !pairs.empty? && pairs.size == options[:limit]
      values
    end
    alias_method :getGroup, :get_group
    alias_method :list, :get_group

    # Removes a whole group and returns how many values it had.
    def clear(group) = @scope.call("state.clear", {"group" => Text.name(group, "group")})

    # Changes parts of a value in one step and returns the new value: one operation or a list of
    # {op: "set", path: "a.b.0", value: 1}.
    def update(group, key, ops, given = nil, **options)
      options = only("update", given, options, :expect)
      params = {"ops" => Operations.encode(ops)}
      params["expect"] = expected(options[:expect]) if options.key?(:expect)
      Values.decode(call("update", group, key, params))
    end

    # Adds to a number in one step and returns the sum; a missing value counts as 0.
    def increment(group, key, by = 1)
      update(group, key, {op: "increment", value: by})
    end

    # The names of all groups that hold something.
    def groups = @scope.call("state.groups", {})
    alias_method :list_groups, :groups
    alias_method :listGroups, :groups

    # Stores the value if the current one is `expected` (nil: none) and says whether it did.
    def compare_and_set(group, key, expected, value)
      set(group, key, value, {expect: expected})
      true
    rescue StepweaveError => e
      raise unless e.code == "conflict"

      false
    end
    alias_method :compareAndSet, :compare_and_set

    # The same methods for this trace's own group.
    def trace = TraceState.new(self, @trace_id)

    # A method as something to call.
    def [](name) = public_method(name)

    def inspect = "#<state>"

    private

    def call(method, group, key, params = {})
      params["group"] = Text.name(group, "group")
      params["key"] = Text.name(key, "key")
      @scope.call("state.#{method}", params)
    end

    # Options given either way. Raises TypeError for one that there is not: a misspelled one must not
    # go unnoticed.
    def only(method, given, options, *known)
      options = (given || {}).to_h.transform_keys(&:to_sym).merge(options)
      options[:ttl_ms] = options.delete(:ttlMs) if options.key?(:ttlMs)
      other = options.keys - known
      return options if other.empty?

      raise TypeError, "state.#{method} has no option \"#{other.first}\"; it takes #{known.join(" and ")}"
    end

    def expected(value) = value.nil? ? nil : Values.encode(value)
  end

  # The values of a group; `next` is there when a page is full: the key after which the next one begins.
  class Page < Array
    attr_accessor :next
  end

  # State without the group, which is one trace.
  class TraceState
    METHODS = %i[
      get set delete get_group getGroup list clear update increment compare_and_set compareAndSet
    ].freeze

    def initialize(state, group)
      @state = state
      @group = group
    end

    METHODS.each do |name|
      define_method(name) { |*arguments, **options| @state.public_send(name, @group, *arguments, **options) }
    end

    def [](name) = public_method(name)

    def inspect = "#<state of trace #{@group}>"
  end
end
