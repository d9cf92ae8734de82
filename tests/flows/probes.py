"""Steps that try the context and answer what they found, so that languages can be compared."""

from __future__ import annotations

from textwrap import indent

__all__ = ["FORMS", "probe"]

FORMS = ("typescript", "javascript", "python", "python, sync", "ruby")
"""The languages, and Python with handlers that block."""

_TS = """
export const config = {{
  type: 'api', name: '{name}', method: 'POST', path: '{path}', flows: ['probes', '{form}'],
  emits: [{emits}],
}}
export const handler = async (req: any, context: any): Promise<any> => {{
  const {{ emit, state, streams, logger }} = context
  const out: any[] = []
  const pause = (ms: number) => new Promise((r) => setTimeout(r, ms))
{body}
  return {{ status: 200, body: out }}
}}
"""
_PY = """
import asyncio, time
config = {{
    "type": "api", "name": "{name}", "method": "POST", "path": "{path}",
    "flows": ["probes", "{form}"], "emits": [{emits}],
}}
def pause(ms):
    return asyncio.sleep(ms / 1000)
async def handler(req, context):
    emit, state = context["emit"], context["state"]
    streams, logger = context["streams"], context["logger"]
    out = []
{body}
    return {{"status": 200, "body": out}}
"""
_RB = """
def config
  {{
    type: 'api', name: '{name}', method: 'POST', path: '{path}',
    flows: ['probes', '{form}'], emits: [{emits}]
  }}
end
def pause(ms) = sleep(ms / 1000.0)
def handler(req, context)
  emit, state = context[:emit], context[:state]
  streams, logger = context[:streams], context[:logger]
  out = []
{body}
  {{ status: 200, body: out }}
end
"""
_SUFFIXES = {"typescript": ".step.ts", "javascript": ".step.js", "ruby": ".step.rb"}


def probe(name: str, form: str, bodies: dict[str, str], *, emits: str = "") -> dict[str, str]:
    """An API step POST /NAME/FORM whose body fills the list `out`, which is its answer.

    `bodies` are by "js", "py" (with await, which the blocking form does without) and "rb".
    GROUP in a body becomes a name of its own.
    """
    slug = form.replace(", ", "_")
    kind = "js" if "script" in form else form[:2] if form != "ruby" else "rb"
    body = bodies[kind].replace("GROUP", f"{name}.{slug}")
    text = {"js": _TS, "py": _PY, "rb": _RB}[kind].format(
        name=f"{name}_{slug}",
        path=f"/{name}/{slug}",
        form=form,
        emits=emits,
        body=indent(body.strip("\n"), "    " if kind == "py" else "  "),
    )
    if form == "javascript":
        text = text.replace(": any[]", "").replace(": any", "").replace(": number", "")
        text = text.replace(": Promise<any>", "")
    if form == "python, sync":
        text = text.replace("async def handler", "def handler").replace("await ", "")
        text = text.replace("return asyncio.sleep(", "return time.sleep(")
    return {f"steps/{name}_{slug}{_SUFFIXES.get(form, '.step.py')}": text}
