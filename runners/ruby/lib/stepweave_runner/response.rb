# frozen_string_literal: true

require_relative "streaming"
require_relative "text"
require_relative "values"

module StepweaveRunner
  # What an API handler gave, as status, headers and body for the wire.
  module Response
    FORM = "an API step returns {status: 200, body: …}"

    # The result for the wire; nil when it has been sent in parts. Raises Refused.
    def self.encode(value, scope)
      value = value.to_h if value.is_a?(Struct) || !value.nil? && !value.is_a?(Enumerable) && value.respond_to?(:to_h)
      refuse("#{FORM}, but it returned #{value.nil? ? "nothing" : "a #{value.class}"}") unless value.is_a?(Hash)

      status = value.fetch("status") { value[:status] }
      refuse("#{FORM} with an integer status, not #{status.inspect.slice(0, 80)}") unless status.is_a?(Integer)

      headers = headers(value.fetch("headers") { value[:headers] })
      body = value.fetch("body") { value[:body] }
      return {"status" => status, "headers" => headers, "body" => body(value)} unless Streaming.stream?(body)
      refuse("this orchestrator takes no answers in parts; return the body as a whole") unless scope.streaming?

      Streaming.send_parts(scope, status, headers, body)
      nil
    end

    class << self
      private

      def headers(given)
        return {} if given.nil?
        refuse("the headers of a response are a hash, not a #{given.class}") unless given.is_a?(Hash)

        given.compact.to_h do |name, value|
          [Text.utf8(name), value.is_a?(Array) ? value.map { |item| text(name, item) } : text(name, value)]
        end
      end

      def text(name, value)
        return Text.utf8(value) unless value.is_a?(Hash)

        refuse("the header #{name} is a text or a list of texts, not #{value.inspect.slice(0, 80)}")
      end

      # nil when there is none, which is not the same as a body that is nil.
      def body(value)
        return unless value.key?(:body) || value.key?("body")

        body = value.fetch("body") { value[:body] }
        return Values.encode_json(body) unless body.is_a?(String)
        return ["bytes", body] if body.encoding == Encoding::BINARY

        ["text", Text.utf8(body).b]
      rescue StepweaveError => e
        raise Refused, {"code" => e.code, "message" => "the body of the response: #{e.message}"}
      end

      def refuse(message) = raise Refused.handler("InvalidResponse", message)
    end
  end
end
