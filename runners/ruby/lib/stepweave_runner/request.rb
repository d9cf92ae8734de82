# frozen_string_literal: true

require_relative "files"
require_relative "values"

module StepweaveRunner
  # What handlers are given: an HTTP request, an event's data, a tick of the clock.
  #
  # A request has body, rawBody (the body as it was sent), headers, pathParams, queryParams, method, path,
  # url, ip, cookies and files, read by text, symbol or method in either spelling.
  class Request < Record
    # The first argument of a handler. Raises invalid_payload for data that cannot be read.
    def self.read(kind, given)
      case kind
      when "event" then Values.decode(given["data"])
      when "api" then from(given)
      else Record.wrap(given)
      end
    end

    def self.from(given)
      payload = given["body"]
      request = new
      request["body"] = payload.nil? ? Record.new : Values.decode(payload)
      request["rawBody"] = raw(given, payload)
      request["headers"] = Record.wrap(given["headers"] || {})
      request["pathParams"] = Record.wrap(given["params"] || {})
      request["queryParams"] = Record.wrap(given["query"] || {})
      request["method"] = given["method"]
      request["path"] = given["path"]
      request["url"] = given["url"] || given["path"]
      request["ip"] = given["ip"]
      request["cookies"] = Record.wrap(given["cookies"] || {})
      request["files"] = UploadedFiles.new((given["files"] || []).map { |file| UploadedFile.from(file) })
      request
    end

    # The request that a middleware hands on, which may be a plain hash.
    def self.of(given) = given.is_a?(Record) ? given : new.merge!(Record.wrap(given.to_h))

    # The body's own bytes are copied, since a handler may change either.
    def self.raw(given, payload)
      raw = given["raw"]
      return raw.force_encoding(Encoding::UTF_8) if raw
      # A form with files is not kept as it came.
      return "" if payload.nil? || given["files"]

      payload[0] == "bytes" ? payload[1].dup.force_encoding(Encoding::UTF_8) : payload[1]
    end
    private_class_method :from, :raw

    # `request.method` is the HTTP method; with a name it is Ruby's own.
    def method(*name) = name.empty? ? self["method"] : super
  end
end
