# frozen_string_literal: true

require_relative "msgpack"

module StepweaveRunner
  # Frames: a length of four bytes, big-endian, and one msgpack value. Bytes in, values out.
  module Frame
    # Limit of both sides until the handshake.
    MAX_SIZE = 16 * 1024 * 1024

    # A frame over the limit, which was skipped; `head` are its first bytes.
    Oversize = Struct.new(:size, :head) do
      # [kind, id] as far as they can be told from the first bytes: 0 for a request, 1 for a response.
      def peek
        kind = head.getbyte(1)
        return unless [0x93, 0x94].include?(head.getbyte(0)) && [0, 1].include?(kind)

        id = identify(head.getbyte(2))
        id && [kind, id]
      end

      private

      def identify(byte)
        case byte
        when 0..0x7f then byte
        when 0xcc then head.unpack1("C", offset: 3)
        when 0xcd then head.unpack1("n", offset: 3)
        when 0xce then head.unpack1("N", offset: 3)
        end
      end
    end

    # Cuts a byte stream into frames, whatever the pieces it arrives in.
    class Reader
      HEAD_SIZE = 8

      attr_accessor :max_size

      def initialize(max_size = MAX_SIZE)
        @max_size = max_size
        @codec = Msgpack::CODEC.new
        @rest = nil
        @skipping = 0
      end

      # Takes the next piece and yields the value of each frame that it completes, or an Oversize.
      # Raises Malformed when the bytes of a frame are not one value. The piece is not kept.
      def feed(piece)
        data = @rest ? @rest << piece : piece
        size = data.bytesize
        at = skipped(size)
        while size - at >= 4
          length = data.unpack1("N", offset: at)
          if length > @max_size
            break if size - at - 4 < [length, HEAD_SIZE].min

            yield Oversize.new(length, data.byteslice(at + 4, HEAD_SIZE))
            @skipping = length
            at = skipped(size, at + 4)
          else
            break if size - at - 4 < length

            yield value(data.byteslice(at + 4, length))
            at += 4 + length
          end
        end
        @rest = at < size ? remainder(data, at) : nil
      end

      private

      # Where the next frame begins, at most at the end of the data.
      def skipped(size, at = 0)
        step = [@skipping, size - at].min
        @skipping -= step
        at + step
      end

      def remainder(data, at)
        data.equal?(@rest) && at.zero? ? data : data.byteslice(at, data.bytesize - at)
      end

      def value(bytes)
        @codec.unpack(bytes)
      rescue Malformed => e
        shown = "#{bytes.byteslice(0, 64).unpack1("H*")} #{bytes.byteslice(0, 64).inspect}"
        raise Malformed, "a frame of #{bytes.bytesize} bytes (#{shown}) is no value: #{e.message}"
      end
    end
  end
end
