# frozen_string_literal: true

# A bare echo child: answers each request frame on stdin with its own payload on stdout.
# Same framing (a length, then one msgpack value) and same codec as the Ruby runner, nothing else.

begin
  require "msgpack"
rescue LoadError
  require_relative "../../runners/ruby/lib/stepweave_runner/msgpack"
end

$stdin.binmode
$stdout.binmode
buffer = String.new(encoding: Encoding::BINARY)

begin
  loop do
    buffer << $stdin.readpartial(1 << 18)
    at = 0
    answers = String.new(encoding: Encoding::BINARY)
    while buffer.bytesize - at >= 4
      size = buffer.byteslice(at, 4).unpack1("N")
      break if buffer.bytesize - at - 4 < size
      _, id, _, params = MessagePack.unpack(buffer.byteslice(at + 4, size))
      body = MessagePack.pack([1, id, nil, params["input"]["data"]])
      answers << [body.bytesize].pack("N") << body
      at += 4 + size
    end
    buffer = buffer.byteslice(at..)
    $stdout.syswrite(answers) unless answers.empty?
  end
rescue EOFError
  exit 0
end
