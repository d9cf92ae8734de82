# frozen_string_literal: true

module StepweaveRunner
  # A map that came off the wire: a Hash with text as keys that is read by text, symbol and method.
  #
  #   order["customerId"], order[:customerId], order.customerId, order.customer_id
  #
  # A symbol or method in snake_case finds the key in camelCase or with dashes. A method that Hash
  # has itself, such as `size`, is Hash's. Reading a name that is not there gives nil.
  class Record < Hash
    # Names that are taken for a missing key, and not for a mistake. Ruby asks for to_str and the like.
    READABLE = /\A(?!to_)[a-zA-Z_]\w*\z/

    # The value with every map in it as a Record.
    def self.wrap(value)
      case value
      when Record then value
      when Hash then value.each_with_object(new) { |(key, item), record| record[key] = wrap(item) }
      when Array then value.map { |item| wrap(item) }
      else value
      end
    end

    alias_method :text_key?, :key?
    private :text_key?

    def [](key) = super(Symbol === key ? spelled(key) : key)

    def []=(key, value)
      super(Symbol === key ? key.name : key, value)
    end
    alias_method :store, :[]=

    def key?(key) = super(Symbol === key ? spelled(key) : key)
    alias_method :has_key?, :key?
    alias_method :include?, :key?
    alias_method :member?, :key?

    def fetch(key, *default, &block) = super(Symbol === key ? spelled(key) : key, *default, &block)

    def dig(key, *rest)
      value = self[key]
      rest.empty? || value.nil? ? value : value.dig(*rest)
    end

    def values_at(*keys) = keys.map { |key| self[key] }

    def fetch_values(*keys, &block) = keys.map { |key| fetch(key, &block) }

    def slice(*keys) = super(*spelled_all(keys))

    def except(*keys) = super(*spelled_all(keys))

    def delete(key, &block) = super(Symbol === key ? spelled(key) : key, &block)

    def merge(*others, &block) = super(*others.map { |other| named(other) }, &block)

    def merge!(*others, &block) = super(*others.map { |other| named(other) }, &block)
    alias_method :update, :merge!

    # For `case order in {id:, total:}`.
    def deconstruct_keys(keys)
      return transform_keys(&:to_sym) if keys.nil?

      keys.each_with_object({}) { |key, found| found[key] = self[key] if key?(key) }
    end

    def respond_to_missing?(name, include_all = false) = key?(name) || super

    def method_missing(name, *arguments, &block)
      text = name.name
      if text.end_with?("=") && arguments.size == 1
        self[text.delete_suffix("=")] = arguments.first
      elsif arguments.empty? && block.nil? && (key?(name) || READABLE.match?(text))
        self[name]
      else
        super
      end
    end

    private

    # The key that a symbol means: itself, or else its form in camelCase or with dashes.
    def spelled(symbol)
      name = symbol.name
      return name if !name.include?("_") || text_key?(name)

      camel = name.gsub(/(?<=.)_([a-z0-9])/) { $1.upcase }
      return camel if text_key?(camel)

      dashed = name.tr("_", "-")
      text_key?(dashed) ? dashed : name
    end

    def spelled_all(keys) = keys.map { |key| Symbol === key ? spelled(key) : key }

    def named(other)
      other.is_a?(Record) ? other : other.to_hash.transform_keys { |key| Symbol === key ? key.name : key }
    end
  end
end
