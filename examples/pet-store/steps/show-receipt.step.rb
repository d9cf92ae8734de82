# frozen_string_literal: true

require_relative "../services/receipt"

def config
  {
    type: "api",
    name: "ShowReceipt",
    description: "Prints the receipt of a fulfilled order as plain text",
    method: "GET",
    path: "/orders/:id/receipt",
    emits: [],
    flows: ["pet-store"]
  }
end

def handler(req, context)
  id = req[:pathParams][:id]
  order = context[:state].get("orders", id)
  return {status: 404, body: {error: "there is no order #{id}"}} unless order
  unless order[:status] == "fulfilled"
    return {status: 409, body: {error: "order #{id} is #{order[:status]}, not fulfilled"}}
  end

  # A string is sent as it is; anything else would become JSON.
  {status: 200, headers: {"content-type" => "text/plain; charset=utf-8"}, body: Receipt.text(order)}
end
