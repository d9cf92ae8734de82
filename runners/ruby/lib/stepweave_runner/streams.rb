# frozen_string_literal: true

require_relative "operations"
require_relative "text"
require_relative "values"

module StepweaveRunner
  # The project's streams by name: `streams.board`, `streams[:board]`, `streams["to-do"]`. The
  # orchestrator refuses names it does not know.
  class Streams
    def initialize(scope)
      @scope = scope
    end

    def [](name) = Stream.new(@scope, Text.name(name, "stream"))

    def respond_to_missing?(name, _include_all = false) = name.match?(/\A(?!to_)[a-z]\w*\z/i)

    def method_missing(name, *arguments)
      arguments.empty? && respond_to_missing?(name) ? self[name] : super
    end

    def inspect = "#<streams>"
  end

  # The items of one stream, by group and id; what comes back carries `__motia`, by which clients
  # know where it belongs.
  class Stream
    def initialize(scope, name)
      @scope = scope
      @name = name
    end

    # The item, or nil.
    def get(group, id) = item(call("get", group, id), group, id)

    # Stores an item, tells those who follow it, and returns it with its id.
    def set(group, id, data = nil, **fields)
      # A hash without braces is the data.
      data = fields if data.nil? && !fields.empty?
      data = data.reject { |key, _| key.to_s == "__motia" } if data.is_a?(Hash)
      item(call("set", group, id, {"data" => Values.encode(data)}), group, id)
    end

    # Changes parts of an item in one step, as State#update does, and returns it.
    def update(group, id, ops) = item(call("update", group, id, {"ops" => Operations.encode(ops)}), group, id)

    # Removes an item and returns it, or nil.
    def delete(group, id) = item(call("delete", group, id), group, id)

    # The items of a group, oldest first.
    def get_group(group)
      pairs = request("list", {"group" => Text.name(group, "group")})
      pairs.map { |id, data| item(data, group, id) }
    end
    alias_method :getGroup, :get_group
    alias_method :list, :get_group

    # Sends an event that is not stored, to who follows a group or, with an id, also an item in it:
    #
    #   streams.board.send({group_id: "g", id: "1"}, {type: "typing", data: {who: "ann"}})
    def send(channel, event)
      channel = channel.is_a?(Hash) ? channel.transform_keys(&:to_s) : {"groupId" => channel}
      event = event.to_h.transform_keys(&:to_s)
      raise TypeError, "send needs an event {type:, data:}, but got #{event}" if event["type"].nil?

      group = channel["groupId"] || channel["group_id"] || channel["group"]
      data = Values.encode(event["data"]) if event.key?("data")
      params = {"group" => Text.name(group, "group"), "event" => {"type" => event["type"].to_s, "data" => data}}
      params["id"] = Text.name(channel["id"], "id") unless channel["id"].nil?
      request("send", params)
      nil
    end

    def inspect = "#<stream #{@name}>"

    private

    def call(method, group, id, params = {})
      params["group"] = Text.name(group, "group")
      params["id"] = Text.name(id, "id")
      request(method, params)
    end

    def request(method, params)
      params["stream"] = @name
      @scope.call("stream.#{method}", params)
    end

    def item(payload, group, id)
      item = Values.decode(payload)
      return item unless item.is_a?(Hash)

      marker = {"type" => "state-stream", "streamName" => @name, "groupId" => group.to_s, "id" => id.to_s}
      item["__motia"] = Record.wrap(marker)
      item
    end
  end
end
