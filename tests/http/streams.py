"""A project whose steps answer in parts, the same in three languages."""

from __future__ import annotations

__all__ = ["FILES", "LANGUAGES", "PART", "PARTS"]

LANGUAGES = ["python", "javascript", "ruby"]
PART = 64 << 10
PARTS = 1000

_PYTHON = """
    import asyncio

    config = {
        "type": "api", "name": "PartsPython", "method": "GET", "path": "/python/parts/:what",
        "infrastructure": {"handler": {"timeout": TIMEOUT}},
    }

    async def mixed():
        yield "grüße "
        yield b"\\x00\\xff"
        yield {"n": 1}

    def plain():
        yield "one "
        yield "two"

    async def gated(context, id):
        yield "first"
        while await context.state.get("open", id) is None:
            await asyncio.sleep(0.005)
        yield "second"

    async def large(context, id):
        for made in range(1000):
            await context.state.set("made", id, made)
            yield bytes(64 << 10)

    def endless(context, id):
        try:
            while True:
                yield "tick"
        finally:
            context.logger.info(f"closed {id}")

    async def breaks():
        yield "begun"
        raise ValueError("it broke off")

    async def dies():
        yield "begun"
        import os
        os._exit(3)

    def events():
        yield {"event": "price", "data": {"n": 1}, "id": "1"}
        yield "bye"

    async def handler(req, context):
        what, id = req.path_params["what"], req.query_params.get("id")
        if what == "sse":
            return context.sse(events(), headers={"x-more": "yes"})
        body = {
            "mixed": mixed, "plain": plain, "breaks": breaks, "dies": dies,
            "gated": lambda: gated(context, id), "large": lambda: large(context, id),
            "endless": lambda: endless(context, id), "injected": mixed, "empty": lambda: iter(()),
        }[what]()
        headers = {"content-type": "text/plain; charset=utf-8", "set-cookie": ["a=1", "b=2"]}
        if what == "injected":
            headers["x-a"] = "a\\r\\nx-evil: 1"
        if what == "gated":
            await context.state.set("begun", id, True)
        return {"status": 200, "headers": headers, "body": body}
"""

_JAVASCRIPT = """
    exports.config = {
      type: 'api', name: 'PartsJavaScript', method: 'GET', path: '/javascript/parts/:what',
      infrastructure: { handler: { timeout: TIMEOUT } },
    }

    async function* mixed() {
      yield 'grüße '
      yield new Uint8Array([0, 255])
      yield { n: 1 }
    }

    const plain = () => {
      const chunks = ['one ', 'two']
      return new ReadableStream({
        pull(controller) {
          if (chunks.length) controller.enqueue(chunks.shift())
          else controller.close()
        },
      })
    }

    async function* gated({ state }, id) {
      yield 'first'
      while ((await state.get('open', id)) === null) await new Promise((r) => setTimeout(r, 5))
      yield 'second'
    }

    async function* large({ state }, id) {
      for (let made = 0; made < 1000; made++) {
        await state.set('made', id, made)
        yield Buffer.alloc(64 << 10)
      }
    }

    function* endless({ logger }, id) {
      try {
        for (;;) yield 'tick'
      } finally {
        logger.info(`closed ${id}`)
      }
    }

    async function* breaks() {
      yield 'begun'
      throw new RangeError('it broke off')
    }

    async function* dies() {
      yield 'begun'
      process.exit(3)
    }

    function* events() {
      yield { event: 'price', data: { n: 1 }, id: '1' }
      yield 'bye'
    }

    exports.handler = async (req, context) => {
      const { what } = req.pathParams
      const { id } = req.queryParams
      if (what === 'sse') return context.sse(events(), { 'x-more': 'yes' })
      const body = {
        mixed, plain, breaks, dies, injected: mixed, empty: () => [].values(),
        gated: () => gated(context, id), large: () => large(context, id),
        endless: () => endless(context, id),
      }[what]()
      const headers = { 'content-type': 'text/plain; charset=utf-8', 'set-cookie': ['a=1', 'b=2'] }
      if (what === 'injected') headers['x-a'] = 'a\\r\\nx-evil: 1'
      if (what === 'gated') await context.state.set('begun', id, true)
      return { status: 200, headers, body }
    }
"""

_RUBY = """
    def config
      {
        type: "api", name: "PartsRuby", method: "GET", path: "/ruby/parts/:what",
        infrastructure: { handler: { timeout: TIMEOUT } }
      }
    end

    def gated(state, id)
      Enumerator.new do |out|
        out << "first"
        sleep 0.005 while state.get("open", id).nil?
        out << "second"
      end
    end

    def large(state, id)
      Enumerator.new do |out|
        1000.times do |made|
          state.set("made", id, made)
          out << ("\\0" * (64 << 10)).b
        end
      end
    end

    def endless(logger, id)
      Enumerator.new do |out|
        loop { out << "tick" }
      ensure
        logger.info("closed #{id}")
      end
    end

    def breaks
      Enumerator.new do |out|
        out << "begun"
        raise ArgumentError, "it broke off"
      end
    end

    def dies
      Enumerator.new do |out|
        out << "begun"
        exit!(3)
      end
    end

    def body(what, id, context)
      case what
      when "mixed", "injected" then ["grüße ", "\\x00\\xff".b, { n: 1 }].each
      when "plain" then ["one ", "two"].lazy
      when "empty" then [].each
      when "gated" then gated(context.state, id)
      when "large" then large(context.state, id)
      when "endless" then endless(context.logger, id)
      when "breaks" then breaks
      when "dies" then dies
      end
    end

    def handler(req, context)
      what, id = req.path_params["what"], req.query_params["id"]
      if what == "sse"
        return context.sse(headers: { "x-more" => "yes" }) do |out|
          out << { event: "price", data: { n: 1 }, id: "1" }
          out << "bye"
        end
      end

      headers = { "content-type" => "text/plain; charset=utf-8", "set-cookie" => ["a=1", "b=2"] }
      headers["x-a"] = "a\\r\\nx-evil: 1" if what == "injected"
      context.state.set("begun", id, true) if what == "gated"
      { status: 200, headers: headers, body: body(what, id, context) }
    end
"""

_OPEN = """
    config = {"type": "api", "name": "Open", "method": "POST", "path": "/open/:group/:key"}

    async def handler(req, context):
        await context.state.set(req.path_params["group"], req.path_params["key"], True)
        return {"status": 204}
"""


def _step(text: str, name: str, timeout: int) -> str:
    text = text.replace("TIMEOUT", str(timeout)).replace("/parts/", f"/{name}parts/")
    return text.replace('"Parts', f'"{name}Parts').replace("'Parts", f"'{name}Parts")


FILES = {
    f"steps/{name}parts.step.{suffix}": _step(text, name, timeout)
    for name, timeout in (("", 900), ("short", 1))
    for suffix, text in (("py", _PYTHON), ("js", _JAVASCRIPT), ("rb", _RUBY))
} | {"steps/open.step.py": _OPEN}
