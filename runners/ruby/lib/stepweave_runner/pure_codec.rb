# frozen_string_literal: true

require_relative "errors"

module StepweaveRunner
  # msgpack in Ruby alone, for where the gem cannot be had: nil, booleans, integers, floats, text,
  # bytes, arrays and maps; no extension types. Writes the same bytes as the gem.
  class PureCodec
    # Deeper values would leave Ruby's stack with an error that means something else.
    DEEPEST = 1_000

    # The value's bytes. Strings that are ASCII-8BIT are written as bin, all others as UTF-8 text.
    def pack(value)
      @out = String.new(capacity: 256, encoding: Encoding::BINARY)
      write(value)
      @out
    end

    # The value in the bytes. Raises Malformed unless they are exactly one value.
    def unpack(bytes)
      @bytes = bytes
      @at = 0
      @depth = 0
      value = read
      raise Malformed, "bytes follow the value" if @at < bytes.bytesize

      value
    end

    private

    def write(value)
      case value
      when String then string(value)
      when Integer then integer(value)
      when Hash
        head(value.size, 0x80, 16, nil, 0xde, 0xdf)
        value.each do |key, item|
          write(key)
          write(item)
        end
      when Array
        head(value.size, 0x90, 16, nil, 0xdc, 0xdd)
        value.each { |item| write(item) }
      when nil then @out << 0xc0
      when true then @out << 0xc3
      when false then @out << 0xc2
      when Float then @out << 0xcb << [value].pack("G")
      when Symbol then string(value.name)
      else raise TypeError, "#{value.class} has no form in msgpack"
      end
    end

    def string(text)
      if text.encoding == Encoding::BINARY
        head(text.bytesize, nil, 0, 0xc4, 0xc5, 0xc6)
        @out << text
      else
        text = text.encode(Encoding::UTF_8) unless text.encoding == Encoding::UTF_8
        head(text.bytesize, 0xa0, 32, 0xd9, 0xda, 0xdb)
        @out << (text.ascii_only? ? text : text.b)
      end
    end

    # A size in its shortest form: within the first byte if below `limit`, else after it.
    def head(size, base, limit, one, two, four)
      if size < limit then @out << (base | size)
      elsif one && size < 0x100 then @out << one << size
      elsif size < 0x10000 then @out << two << (size >> 8) << (size & 0xff)
      elsif size < 0x100000000 then @out << four << [size].pack("N")
      else raise RangeError, "more than 4 GiB"
      end
    end

    def integer(value)
      if value >= 0
        if value < 0x80 then @out << value
        elsif value < 0x100 then @out << 0xcc << value
        elsif value < 0x10000 then @out << 0xcd << (value >> 8) << (value & 0xff)
        elsif value < 0x100000000 then @out << 0xce << [value].pack("N")
        elsif value < 0x10000000000000000 then @out << 0xcf << [value].pack("Q>")
        else raise RangeError, "the integer #{value} has more than 64 bits"
        end
      elsif value >= -0x20 then @out << (value & 0xff)
      elsif value >= -0x80 then @out << 0xd0 << (value & 0xff)
      elsif value >= -0x8000 then @out << 0xd1 << [value].pack("s>")
      elsif value >= -0x80000000 then @out << 0xd2 << [value].pack("l>")
      elsif value >= -0x8000000000000000 then @out << 0xd3 << [value].pack("q>")
      else raise RangeError, "the integer #{value} has more than 64 bits"
      end
    end

    def read
      byte = @bytes.getbyte(@at)
      raise Malformed, "the value ends early" if byte.nil?

      @at += 1
      if byte < 0x80 then byte
      elsif byte < 0x90 then map(byte & 0x0f)
      elsif byte < 0xa0 then array(byte & 0x0f)
      elsif byte < 0xc0 then text(byte & 0x1f)
      elsif byte >= 0xe0 then byte - 0x100
      else other(byte)
      end
    end

    def other(byte)
      case byte
      when 0xc0 then nil
      when 0xc2 then false
      when 0xc3 then true
      when 0xc4 then take(number("C", 1))
      when 0xc5 then take(number("n", 2))
      when 0xc6 then take(number("N", 4))
      when 0xca then number("g", 4)
      when 0xcb then number("G", 8)
      when 0xcc then number("C", 1)
      when 0xcd then number("n", 2)
      when 0xce then number("N", 4)
      when 0xcf then number("Q>", 8)
      when 0xd0 then number("c", 1)
      when 0xd1 then number("s>", 2)
      when 0xd2 then number("l>", 4)
      when 0xd3 then number("q>", 8)
      when 0xd9 then text(number("C", 1))
      when 0xda then text(number("n", 2))
      when 0xdb then text(number("N", 4))
      when 0xdc then array(number("n", 2))
      when 0xdd then array(number("N", 4))
      when 0xde then map(number("n", 2))
      when 0xdf then map(number("N", 4))
      else raise Malformed, format("the byte %02x begins no value", byte)
      end
    end

    def number(directive, size)
      raise Malformed, "the value ends early" if @at + size > @bytes.bytesize

      value = @bytes.unpack1(directive, offset: @at)
      @at += size
      value
    end

    def take(size)
      raise Malformed, "the value ends early" if @at + size > @bytes.bytesize

      part = @bytes.byteslice(@at, size)
      @at += size
      part
    end

    def text(size)
      part = take(size).force_encoding(Encoding::UTF_8)
      raise Malformed, "a text is not UTF-8" unless part.valid_encoding?

      part
    end

    def array(size)
      # Grows as it reads: the size is not to be trusted before the bytes are there.
      deeper do
        result = []
        size.times { result << read }
        result
      end
    end

    def map(size)
      deeper do
        result = {}
        size.times { result[read] = read }
        result
      end
    end

    # An array or map, if it is not nested too deep to be read.
    def deeper
      raise Malformed, "the value is nested too deep" if (@depth += 1) > DEEPEST

      value = yield
      @depth -= 1
      value
    end
  end
end
