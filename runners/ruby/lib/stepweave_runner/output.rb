# frozen_string_literal: true

require "stringio"
require_relative "scope"
require_relative "text"

module StepweaveRunner
  # What $stdout and $stderr are: lines become log records of the running scope. A StringIO because
  # its puts, print, printf, <<, putc and the rest all end in `write`.
  class Output < StringIO
    # Of a line that never ends so many bytes are kept before they leave as one, such as the dots of a
    # progress that somebody prints.
    LONGEST_REST = 16 * 1024

    attr_reader :to_io

    # `to_io` takes what belongs to no scope, and stands in where a real file is needed.
    def initialize(source, level, to_io)
      super()
      @source = source
      @level = level
      @to_io = to_io
      @lock = Mutex.new
    end

    # Takes text; whole lines leave at once, the rest waits for the end of its line.
    def write(*parts)
      scope = Scope.current
      return @to_io.write(*parts) unless scope

      text = parts.join
      lines = @lock.synchronize { complete(scope, Text.utf8(text)) }
      lines.each { |line| say(scope, line) }
      text.bytesize
    end

    # The one that StringIO writes without `write`.
    def putc(character)
      write(character.is_a?(Integer) ? (character & 0xff).chr : character.to_s[0])
      character
    end

    # Says what a handler printed without an end of line. Called when it has ended.
    def settle(scope)
      rest = scope.held.delete(@source)
      say(scope, rest) if rest
    end

    def fileno = @to_io.fileno

    def reopen(...) = @to_io.reopen(...)

    private

    def complete(scope, text)
      lines = ((scope.held.delete(@source) || "") + text).split("\n", -1)
      rest = lines.pop
      return lines if rest.nil? || rest.empty?
      return lines << rest if rest.bytesize > LONGEST_REST

      scope.held[@source] = rest
      lines
    end

    # Blank lines say nothing and are left out.
    def say(scope, line)
      line = line.chomp("\r")
      scope.log(@level, line, nil, @source) unless line.strip.empty?
    end
  end
end
