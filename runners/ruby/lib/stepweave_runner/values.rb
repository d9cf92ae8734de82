# frozen_string_literal: true

require "json"
require "time"
require_relative "errors"
require_relative "msgpack"
require_relative "plain"
require_relative "record"

module StepweaveRunner
  # Native values to payloads and back, under the rules that every runner keeps (SPEC 4). A payload
  # is [format, bytes] as it stands on the wire.
  module Values
    NULL = ["json", "null".b.freeze].freeze

    # Deeper values take the careful way, which notices circles.
    QUICK_DEPTH = 60

    # Deeper JSON than this is refused: reading it needs the thread's stack.
    DEEPEST = 1_000

    GENERATOR = JSON::State.new(max_nesting: 0)

    # The payload of any value. Raises invalid_payload naming the path of what cannot be written.
    def self.encode(value)
      return ["bytes", value] if value.is_a?(String) && value.encoding == Encoding::BINARY
      return json(value) if quick?(value, 0)

      plain = Plain.new(bytes: :keep)
      value = plain.of(value)
      plain.bytes? ? ["msgpack", packed(value)] : json(value)
    end

    # As `encode`, but always json: bytes inside become base64 text.
    def self.encode_json(value)
      quick?(value, 0) ? json(value) : json(Plain.new(bytes: :base64).of(value))
    end

    # The value in a payload; nil if there is none. Maps are Records. Raises invalid_payload. The bytes
    # become the value's own.
    def self.decode(payload)
      return if payload.nil?

      check(payload)
      case payload[0]
      when "json" then parse(payload[1])
      when "bytes" then payload[1]
      when "text" then text(payload[1])
      when "msgpack" then unpack(payload[1])
      else raise StepweaveError.new("invalid_payload", "no payload has the format #{payload[0].inspect}")
      end
    end

    class << self
      private

      def check(payload)
        return if Array === payload && payload.size == 2 && String === payload[0] && String === payload[1]

        raise StepweaveError.new("invalid_payload", "a payload is [format, bytes]")
      end

      # In place, since a copy costs as much as the parser does for short ones.
      def text(bytes)
        text = bytes.force_encoding(Encoding::UTF_8)
        return text if text.valid_encoding?

        raise StepweaveError.new("invalid_payload", "the text is not UTF-8")
      end

      def json(value) = ["json", GENERATOR.generate(value).force_encoding(Encoding::BINARY)]

      def packed(value)
        Msgpack.pack(value)
      rescue RangeError, TypeError => e
        raise StepweaveError.new("invalid_payload", "the value cannot be written: #{e.message}")
      end

      def parse(bytes)
        JSON::Parser.new(text(bytes), object_class: Record, max_nesting: DEEPEST).parse
      rescue JSON::ParserError => e
        raise StepweaveError.new("invalid_payload", "not JSON: #{e.message}")
      end

      def unpack(bytes)
        Record.wrap(Msgpack.unpack(bytes))
      rescue Malformed => e
        raise StepweaveError.new("invalid_payload", "not msgpack: #{e.message}")
      end

      # Whether the JSON generator alone writes the value by our rules.
      def quick?(value, depth)
        case value
        when String
          (value.encoding == Encoding::UTF_8 || value.encoding == Encoding::US_ASCII) && value.valid_encoding?
        when Integer then value.bit_length < 64
        when nil, true, false then true
        when Float then value.finite?
        when Hash
          return false if depth > QUICK_DEPTH

          value.each { |key, item| return false unless quick_key?(key) && quick?(item, depth + 1) }
          true
        when Array
          return false if depth > QUICK_DEPTH

          value.each { |item| return false unless quick?(item, depth + 1) }
          true
        else false
        end
      end

      def quick_key?(key)
        Symbol === key || String === key && key.encoding == Encoding::UTF_8 && key.valid_encoding?
      end
    end
  end
end
