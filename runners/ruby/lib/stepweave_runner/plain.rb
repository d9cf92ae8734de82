# frozen_string_literal: true

require_relative "errors"
require_relative "text"

module StepweaveRunner
  # One pass over a value that brings it into the data model: nil, booleans, numbers, text, lists,
  # maps with text as keys, and bytes (SPEC 4.5). For one value each.
  class Plain
    # Stands for what is left out of maps and is null in lists.
    NOTHING = Object.new.freeze

    private_constant :NOTHING

    # `bytes`: :keep leaves them as they are, :base64 makes text of them.
    def initialize(bytes:)
      @bytes = bytes
      @saw_bytes = false
      @open = {}.compare_by_identity
    end

    # Whether the value held bytes, which only msgpack can write.
    def bytes? = @saw_bytes

    # The plain value. Raises invalid_payload naming the path of what has no form.
    def of(value)
      plain = visit(value, "")
      NOTHING.equal?(plain) ? nil : plain
    rescue SystemStackError
      refuse("", "is nested too deep")
    end

    # The fields that are told of an error object, everywhere.
    def self.error_fields(error)
      message = Text.utf8(error.message)
      stack = ["#{error.class}: #{message}", *error.backtrace].map { |line| Text.utf8(line) }
      {"name" => error.class.name || error.class.to_s, "message" => message, "stack" => stack.join("\n    at ")}
    end

    private

    def visit(value, path)
      case value
      when nil, true, false then value
      when String then string(value, path)
      when Symbol then Text.utf8(value.name)
      when Integer then value.bit_length < 64 ? value : value.to_s
      when Float then value.finite? ? value : nil
      when Hash then inside(value, path) { fields(value, path) }
      when Array then inside(value, path) { list(value, path) }
      when Proc, Method, UnboundMethod then NOTHING
      else inside(value, path) { object(value, path) }
      end
    end

    def string(value, path)
      case value.encoding
      when Encoding::UTF_8, Encoding::US_ASCII
        value.valid_encoding? ? value : refuse(path, "is not valid UTF-8; use String#b for bytes")
      when Encoding::BINARY then binary(value)
      else value.encode(Encoding::UTF_8)
      end
    rescue EncodingError => e
      refuse(path, "is not text: #{e.message}")
    end

    def binary(value)
      return [value].pack("m0") if @bytes == :base64

      @saw_bytes = true
      value
    end

    def inside(value, path)
      refuse(path, "leads back to itself") if @open.key?(value)
      @open[value] = true
      plain = yield
      @open.delete(value)
      plain
    end

    def list(values, path)
      values.each_with_index.map do |value, index|
        plain = visit(value, "#{path}[#{index}]")
        NOTHING.equal?(plain) ? nil : plain
      end
    end

    def fields(pairs, path)
      pairs.each_with_object({}) do |(key, value), map|
        name = Text.utf8(key)
        plain = visit(value, path.empty? ? name : "#{path}.#{name}")
        map[name] = plain unless NOTHING.equal?(plain)
      end
    end

    def object(value, path)
      case value
      when Exception then self.class.error_fields(value)
      when Time then value.iso8601(3)
      when Struct then fields(value.to_h, path)
      when Numeric then number(value)
      when Range, Module then value.to_s
      else other(value, path)
      end
    rescue StepweaveError, SystemStackError
      raise
    rescue StandardError => e
      refuse(path, "cannot be written: #{Text.utf8(e.message)}")
    end

    # A decimal is its digits, without an exponent; Rational and Complex are their text.
    def number(value)
      return value.to_s unless value.class.name == "BigDecimal"

      value.finite? ? value.to_s("F") : nil
    end

    # By what the object can do, since Set, Date and the like may not be loaded and need not be.
    def other(value, path)
      if value.respond_to?(:iso8601) then value.respond_to?(:hour) ? value.iso8601(3) : value.iso8601
      elsif own?(value, :to_h, Enumerable) then visit(value.to_h, path)
      elsif value.is_a?(Enumerable) && !value.is_a?(IO) then list(value.to_a, path)
      elsif value.respond_to?(:as_json) then visit(value.as_json, path)
      elsif own?(value, :to_json, JSON::Ext::Generator::GeneratorMethods::Object) then JSON.parse(value.to_json)
      elsif own?(value, :to_s, Kernel) then Text.utf8(value.to_s)
      else refuse(path, "is a #{value.class}, which has no to_h")
      end
    end

    # Whether the object has this method from elsewhere than where every object has it.
    def own?(value, name, everyone)
      value.respond_to?(name) && value.method(name).owner != everyone
    end

    def refuse(path, reason)
      place = path.empty? ? "the value" : path.inspect
      raise StepweaveError.new("invalid_payload", "#{place} #{reason}")
    end
  end
end
