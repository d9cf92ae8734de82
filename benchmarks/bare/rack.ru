# A bare Rack endpoint: reads a JSON body, answers a small JSON object.
require "json"

run lambda { |env|
  body = JSON.parse(env["rack.input"].read)
  answer = JSON.generate({id: body["id"], ok: true})
  [200, {"content-type" => "application/json", "content-length" => answer.bytesize.to_s}, [answer]]
}
