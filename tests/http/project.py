"""The project that most of these tests speak to: the same API steps in three languages."""

from __future__ import annotations

__all__ = ["FILES", "LANGUAGES", "MAX_BODY"]

LANGUAGES = ["python", "javascript", "ruby"]
MAX_BODY = 200_000

_ECHO = {
    "steps/echo.step.py": """
        config = {
            "type": "api", "name": "EchoPython", "method": "POST", "path": "/python/echo/:id?",
        }

        async def handler(req, context):
            body = req.body
            if isinstance(body, bytes):
                body = {"bytes": body.hex()}
            return {"status": 200, "body": {
                "method": req.method, "path": req.path, "params": req.path_params,
                "query": req.query_params, "headers": req.headers, "body": body,
                "raw": len(req.raw_body.encode()),
            }}
        """,
    "steps/echo.step.js": """
        exports.config = {
          type: 'api', name: 'EchoJavaScript', method: 'POST', path: '/javascript/echo/:id?',
        }

        exports.handler = async ({ body, rawBody, ...req }) => ({
          status: 200,
          body: {
            method: req.method, path: req.path, params: req.pathParams, query: req.queryParams,
            headers: req.headers,
            body: Buffer.isBuffer(body) ? { bytes: body.toString('hex') } : body,
            raw: Buffer.byteLength(rawBody ?? ''),
          },
        })
        """,
    "steps/echo.step.rb": """
        def config = { type: "api", name: "EchoRuby", method: "POST", path: "/ruby/echo/:id?" }

        def handler(req, _context)
          body = req.body
          if body.is_a?(String) && body.encoding == Encoding::ASCII_8BIT
            body = { bytes: body.unpack1("H*") }
          end
          { status: 200, body: {
            method: req.method, path: req.path, params: req.path_params,
            query: req.query_params, headers: req.headers, body: body,
            raw: req.raw_body.bytesize
          } }
        end
        """,
}

_ANSWERS = {
    "steps/answer.step.py": """
        import datetime

        config = {
            "type": "api", "name": "AnswerPython", "method": "GET", "path": "/python/as/:what",
        }

        ANSWERS = {
            "object": {"status": 200, "body": {"a": [1, None, "ü"], "b": {}}},
            "array": {"status": 200, "body": [1, "two"]},
            "text": {"status": 200, "body": "<b>ü</b>"},
            "typed": {"status": 200, "body": "a,b", "headers": {"Content-Type": "text/csv"}},
            "number": {"status": 200, "body": 7},
            "false": {"status": 200, "body": False},
            "null": {"status": 200, "body": None},
            "nothing": {"status": 200},
            "emptytext": {"status": 200, "body": ""},
            "bytes": {"status": 200, "body": b"\\x00\\xff\\x89PNG"},
            "image": {"status": 200, "body": b"\\x89PNG", "headers": {"content-type": "image/png"}},
            "nested": {"status": 200, "body": {"blob": b"\\xff", "at": datetime.date(2026, 1, 31)}},
            "created": {"status": 201, "body": {"id": 1}, "headers": {"Location": "/pets/1"}},
            "gone": {"status": 204},
            "goneanyway": {"status": 204, "body": {"a": 1}},
            "redirect": {"status": 302, "headers": {"Location": "/elsewhere?a=1"}},
            "cookies": {"status": 200, "headers": {"Set-Cookie": ["a=1; Path=/", "b=2"]}},
            "numbers": {"status": 200, "headers": {"X-Count": 3, "X-Off": None}},
            "own": {"status": 200, "headers": {
                "Content-Length": "999", "Transfer-Encoding": "chunked", "Connection": "close",
                "X-Trace-Id": "mine", "Date": "yesterday"}},
            "teapot": {"status": 418, "body": {"error": "short and stout"}},
            "refused": {"status": 503, "body": "busy", "headers": {"Retry-After": "7"}},
            "injected": {"status": 200, "headers": {"X-A": "a\\r\\nX-Evil: 1"}},
            "control": {"status": 200, "headers": {"X-A": "a\\x01b"}},
            "badname": {"status": 200, "headers": {"X A": "a"}},
            "informal": {"status": 101},
            "small": {"status": 99},
            "large": {"status": 600},
            "textstatus": {"status": "200"},
            "nostatus": {"body": "s3cret"},
            "bare": "s3cret",
            "none": None,
        }

        async def handler(req, context):
            return ANSWERS[req.path_params["what"]]
        """,
    "steps/answer.step.js": """
        exports.config = {
          type: 'api', name: 'AnswerJavaScript', method: 'GET', path: '/javascript/as/:what',
        }

        const ANSWERS = {
          object: { status: 200, body: { a: [1, null, 'ü'], b: {} } },
          array: { status: 200, body: [1, 'two'] },
          text: { status: 200, body: '<b>ü</b>' },
          typed: { status: 200, body: 'a,b', headers: { 'Content-Type': 'text/csv' } },
          number: { status: 200, body: 7 },
          false: { status: 200, body: false },
          null: { status: 200, body: null },
          nothing: { status: 200 },
          emptytext: { status: 200, body: '' },
          bytes: { status: 200, body: Buffer.from([0, 255, 0x89, 80, 78, 71]) },
          image: {
            status: 200, body: Buffer.from([0x89, 80, 78, 71]),
            headers: { 'content-type': 'image/png' },
          },
          nested: { status: 200, body: { blob: Buffer.from([255]), at: '2026-01-31' } },
          created: { status: 201, body: { id: 1 }, headers: { Location: '/pets/1' } },
          gone: { status: 204 },
          goneanyway: { status: 204, body: { a: 1 } },
          redirect: { status: 302, headers: { Location: '/elsewhere?a=1' } },
          cookies: { status: 200, headers: { 'Set-Cookie': ['a=1; Path=/', 'b=2'] } },
          numbers: { status: 200, headers: { 'X-Count': 3, 'X-Off': null } },
          own: {
            status: 200,
            headers: {
              'Content-Length': '999', 'Transfer-Encoding': 'chunked', Connection: 'close',
              'X-Trace-Id': 'mine', Date: 'yesterday',
            },
          },
          teapot: { status: 418, body: { error: 'short and stout' } },
          refused: { status: 503, body: 'busy', headers: { 'Retry-After': '7' } },
          injected: { status: 200, headers: { 'X-A': 'a\\r\\nX-Evil: 1' } },
          control: { status: 200, headers: { 'X-A': 'a\\x01b' } },
          badname: { status: 200, headers: { 'X A': 'a' } },
          informal: { status: 101 },
          small: { status: 99 },
          large: { status: 600 },
          textstatus: { status: '200' },
          nostatus: { body: 's3cret' },
          bare: 's3cret',
          none: undefined,
        }

        exports.handler = async (req) => ANSWERS[req.pathParams.what]
        """,
    "steps/answer.step.rb": """
        def config = { type: "api", name: "AnswerRuby", method: "GET", path: "/ruby/as/:what" }

        def handler(req, _context)
          {
            object: { status: 200, body: { a: [1, nil, "ü"], b: {} } },
            array: { status: 200, body: [1, "two"] },
            text: { status: 200, body: "<b>ü</b>" },
            typed: { status: 200, body: "a,b", headers: { "Content-Type" => "text/csv" } },
            number: { status: 200, body: 7 },
            false: { status: 200, body: false },
            null: { status: 200, body: nil },
            nothing: { status: 200 },
            emptytext: { status: 200, body: "" },
            bytes: { status: 200, body: "\\x00\\xff\\x89PNG".b },
            image: { status: 200, body: "\\x89PNG".b, headers: { "content-type" => "image/png" } },
            nested: { status: 200, body: { blob: "\\xff".b, at: "2026-01-31" } },
            created: { status: 201, body: { id: 1 }, headers: { Location: "/pets/1" } },
            gone: { status: 204 },
            goneanyway: { status: 204, body: { a: 1 } },
            redirect: { status: 302, headers: { "Location" => "/elsewhere?a=1" } },
            cookies: { status: 200, headers: { "Set-Cookie" => ["a=1; Path=/", "b=2"] } },
            numbers: { status: 200, headers: { "X-Count" => 3, "X-Off" => nil } },
            own: { status: 200, headers: {
              "Content-Length" => "999", "Transfer-Encoding" => "chunked", "Connection" => "close",
              "X-Trace-Id" => "mine", "Date" => "yesterday"
            } },
            teapot: { status: 418, body: { error: "short and stout" } },
            refused: { status: 503, body: "busy", headers: { "Retry-After" => "7" } },
            injected: { status: 200, headers: { "X-A" => "a\\r\\nX-Evil: 1" } },
            control: { status: 200, headers: { "X-A" => "a\\x01b" } },
            badname: { status: 200, headers: { "X A" => "a" } },
            informal: { status: 101 },
            small: { status: 99 },
            large: { status: 600 },
            textstatus: { status: "200" },
            nostatus: { body: "s3cret" },
            bare: "s3cret",
            none: nil
          }[req.path_params[:what].to_sym]
        end
        """,
}

_CHECKED = {
    # What zod writes for an object that allows no further fields.
    "steps/checked.step.py": """
        config = {
            "type": "api", "name": "CheckedPython", "method": "POST", "path": "/python/checked",
            "bodySchema": {
                "$schema": "https://json-schema.org/draft/2020-12/schema",
                "type": "object",
                "properties": {
                    "name": {"type": "string", "minLength": 1},
                    "email": {"type": "string", "format": "email"},
                    "age": {"type": "integer", "minimum": 0},
                    "tags": {"type": "array", "items": {"type": "string"}},
                    "pet": {
                        "type": "object",
                        "properties": {"kind": {"enum": ["cat", "dog"]}},
                        "required": ["kind"],
                        "additionalProperties": False,
                    },
                },
                "required": ["name", "email"],
                "additionalProperties": False,
            },
        }

        async def handler(req, context):
            return {"status": 200, "body": req.body}
        """,
    "steps/checked.step.js": """
        exports.config = {
          type: 'api', name: 'CheckedJavaScript', method: 'POST', path: '/javascript/checked',
          bodySchema: {
            id: 'string', 'amount?': 'number', tags: 'string[]', owner: { email: 'email' },
          },
        }
        exports.handler = async (req) => ({ status: 200, body: req.body })
        """,
    "steps/checked.step.rb": """
        def config
          {
            type: "api", name: "CheckedRuby", method: "POST", path: "/ruby/checked",
            body_schema: { id: "string", count: "integer" }
          }
        end

        def handler(req, _context) = { status: 200, body: req.body }
        """,
}

_PARAMETERS = {
    "steps/parameters.step.py": """
        config = {
            "type": "api", "name": "ParametersPython", "method": "POST",
            "path": "/python/shops/:shop",
            "params_schema": {"shop": "integer"},
            "query_schema": {
                "$defs": {"Sort": {"enum": ["name", "age"]}},
                "type": "object",
                "properties": {
                    "page": {"type": "integer", "minimum": 1, "default": 1},
                    "ratio": {"type": "number"},
                    "sold": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
                    "tag": {"type": "array", "items": {"type": "string"}},
                    "sizes": {"type": "array", "items": {"type": "integer"}},
                    "sort": {"$ref": "#/$defs/Sort", "default": "name"},
                    "text": {"type": ["string", "number"]},
                    "range": {"type": "object", "properties": {"from": {"type": "integer"}}},
                },
                "additionalProperties": False,
            },
            "body_schema": {"id": "string"},
        }

        async def handler(req, context):
            return {"status": 200, "body": {"params": req.path_params, "query": req.query_params}}
        """,
    # What zod writes for paramsSchema and querySchema.
    "steps/parameters.step.js": """
        exports.config = {
          type: 'api', name: 'ParametersJavaScript', method: 'GET',
          path: '/javascript/shops/:shop',
          paramsSchema: {
            $schema: 'https://json-schema.org/draft/2020-12/schema',
            type: 'object', properties: { shop: { type: 'integer' } }, required: ['shop'],
          },
          querySchema: {
            $schema: 'https://json-schema.org/draft/2020-12/schema',
            type: 'object',
            properties: {
              page: { default: 1, type: 'integer', minimum: 1 }, sold: { type: 'boolean' },
            },
          },
        }

        exports.handler = async (req) => ({
          status: 200, body: { params: req.pathParams, query: req.queryParams },
        })
        """,
    "steps/parameters.step.rb": """
        def config
          {
            type: "api", name: "ParametersRuby", method: "GET", path: "/ruby/shops/:shop",
            params_schema: { shop: "integer" },
            query_schema: { page: "integer", "tags?": "string[]" }
          }
        end

        def handler(req, _context)
          { status: 200, body: { params: req.path_params, query: req.query_params } }
        end
        """,
}

_GET = """
config = {{"type": "api", "name": {name!r}, "method": {method!r}, "path": {path!r}}}

async def handler(req, context):
    return {{"status": 200, "body": {{"step": {name!r}, "params": req.path_params}}}}
"""


def _get(name: str, path: str, method: str = "GET") -> tuple[str, str]:
    return f"steps/{name}.step.py", _GET.format(name=name, path=path, method=method)


_PATHS = dict(
    [
        _get("pet", "/pets/:id"),
        _get("newest", "/pets/newest"),
        _get("cats", "/pets/cats/*"),
        _get("visits", "/pets/:id/visits/:visit?"),
        _get("files", "/files/:path+"),
        _get("orders", r"/orders/:year(\d{4})"),
        _get("orderTag", "/orders/:tag"),
        _get("route", "/flights/:from-:to"),
        _get("cafe", "/café/:dish"),
        _get("save", "/pets/:id", "PUT"),
        _get("remove", "/pets/:id", "DELETE"),
        _get("probe", "/probe", "HEAD"),
        _get("getProbe", "/probe"),
        _get("options", "/choices", "OPTIONS"),
        _get("choices", "/choices"),
    ]
)

_SLOW = {
    "steps/slow.step.py": """
        import asyncio

        config = {"type": "api", "name": "Slow", "method": "POST", "path": "/slow"}

        async def handler(req, context):
            await context.state.set("slow", req.body["id"], "began")
            while await context.state.get("go", req.body["id"]) is None:
                await asyncio.sleep(0.005)
            await context.state.set("slow", req.body["id"], "ended")
            return {"status": 200, "body": {"id": req.body["id"]}}
        """,
    "steps/go.step.py": """
        config = {"type": "api", "name": "Go", "method": "POST", "path": "/go/:id"}

        async def handler(req, context):
            await context.state.set("go", req.path_params["id"], True)
            return {"status": 204}
        """,
}

FILES = {**_ECHO, **_ANSWERS, **_CHECKED, **_PARAMETERS, **_PATHS, **_SLOW}
