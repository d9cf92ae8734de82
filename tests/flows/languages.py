"""The same small steps in every language, so that one table can try all pairs."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["LANGUAGES", "Language"]


class Language(NamedTuple):
    """Templates with {placeholders}; `suffix` ends the file name of a step."""

    name: str
    suffix: str
    api: str
    event: str


_TS_API = """
export const config = {{
  type: 'api', name: '{name}', method: 'POST', path: '{path}', emits: [{emits}],
}}
export const handler = async (req: any, {{ emit, state, logger, traceId }}: any) => {{
{body}
}}
"""
_TS_EVENT = """
export const config = {{
  type: 'event', name: '{name}', subscribes: [{subscribes}], emits: [], {more}
}}
export const handler = async (data: any, {{ emit, state, logger, traceId }}: any) => {{
{body}
}}
"""
_JS_API = """
exports.config = {{
  type: 'api', name: '{name}', method: 'POST', path: '{path}', emits: [{emits}],
}}
exports.handler = async (req, {{ emit, state, logger, traceId }}) => {{
{body}
}}
"""
_JS_EVENT = """
exports.config = {{
  type: 'event', name: '{name}', subscribes: [{subscribes}], emits: [], {more}
}}
exports.handler = async (data, {{ emit, state, logger, traceId }}) => {{
{body}
}}
"""
_PY_API = """
config = {{
    "type": "api", "name": "{name}", "method": "POST", "path": "{path}", "emits": [{emits}],
}}
async def handler(req, context):
    emit, state = context["emit"], context["state"]
{body}
"""
_PY_EVENT = """
config = {{
    "type": "event", "name": "{name}", "subscribes": [{subscribes}], "emits": [], {more}
}}
async def handler(data, context):
    emit, state = context["emit"], context["state"]
{body}
"""
_RB_API = """
def config
  {{ type: 'api', name: '{name}', method: 'POST', path: '{path}', emits: [{emits}] }}
end
def handler(req, context)
  emit, state = context[:emit], context[:state]
{body}
end
"""
_RB_EVENT = """
def config
  {{ type: 'event', name: '{name}', subscribes: [{subscribes}], emits: [], {more} }}
end
def handler(data, context)
  emit, state = context[:emit], context[:state]
{body}
end
"""

LANGUAGES = {
    "typescript": Language("typescript", ".step.ts", _TS_API, _TS_EVENT),
    "javascript": Language("javascript", ".step.js", _JS_API, _JS_EVENT),
    "python": Language("python", ".step.py", _PY_API, _PY_EVENT),
    "ruby": Language("ruby", ".step.rb", _RB_API, _RB_EVENT),
}


def quoted(topics: list[str]) -> str:
    """Topics as the inside of a list, which all four languages write alike."""
    return ", ".join(f"'{topic}'" for topic in topics)
