# frozen_string_literal: true

module StepweaveRunner
  # Text for the wire, which is UTF-8.
  module Text
    # Valid UTF-8 whatever comes in; what has no form in it is replaced. For messages to people.
    def self.utf8(value)
      text = value.to_s
      case text.encoding
      when Encoding::UTF_8, Encoding::US_ASCII then text.valid_encoding? ? text : text.scrub
      when Encoding::BINARY then text.dup.force_encoding(Encoding::UTF_8).scrub
      else text.encode(Encoding::UTF_8, invalid: :replace, undef: :replace)
      end
    end

    # A name such as a group, key or topic. Numbers and symbols are taken as theirs; raises TypeError
    # for anything else, and for text that is not UTF-8.
    def self.name(value, what)
      case value
      when String, Symbol, Integer then text = value.to_s
      else raise TypeError, "the #{what} must be a string, not #{value.nil? ? "nil" : value.class}"
      end
      text = text.dup.force_encoding(Encoding::UTF_8) if text.encoding == Encoding::BINARY
      text = text.encode(Encoding::UTF_8) unless text.encoding == Encoding::UTF_8
      raise TypeError, "the #{what} #{text.inspect} is not valid UTF-8" unless text.valid_encoding?

      text
    end
  end
end
