"""The plain page at `/`: the project's problems, routes, steps and runners, without scripts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any
from urllib.parse import quote

__all__ = ["POLICY", "overview"]

POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The Content-Security-Policy of the page: nothing is loaded, nothing runs, nobody frames it."""

_ICON = (
    "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E"
    "%3Cpath d='M8 1l7 7-7 7-7-7z' fill='none' stroke='%235b7fff' stroke-width='2'/%3E%3C/svg%3E"
)
_STYLE = """
:root{color-scheme:light dark;--fg:#1b1f24;--dim:#59626e;--bg:#f7f8fa;--card:#fff;--line:#e1e5ea;
--soft:#f0f2f5;--api:#116b3a;--event:#1a56b8;--cron:#964500;--noop:#59626e;--stream:#6438ad;
--error:#b3261e;--warning:#855700;--info:#1a56b8;--ok:#116b3a}
@media(prefers-color-scheme:dark){:root{--fg:#e4e7eb;--dim:#9aa4b1;--bg:#15171b;--card:#1c1f24;
--line:#2d323a;--soft:#262a31;--api:#63d297;--event:#86b5ff;--cron:#ffb36b;--noop:#9aa4b1;
--stream:#c6a9ff;--error:#ff8f86;--warning:#f5c766;--info:#86b5ff;--ok:#63d297}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,"Segoe UI",Roboto,
"Noto Sans","DejaVu Sans",sans-serif;overflow-wrap:anywhere}
main{max-width:1120px;margin:0 auto;padding:32px 24px 48px}
a{color:inherit;text-decoration-color:var(--line);text-underline-offset:3px}
a:hover{text-decoration-color:currentColor}
h1{font-size:24px;line-height:1.25;margin:0;letter-spacing:-.01em}
h2{font-size:15px;margin:36px 0 10px}h2 small{font-weight:400;font-size:15px;color:var(--dim);
margin-left:6px}
header{display:flex;flex-wrap:wrap;gap:8px 16px;align-items:center;justify-content:space-between}
header p,.dim,footer{color:var(--dim)}header p{margin:4px 0 0}
.state{font-weight:600;padding:4px 12px;border:1px solid var(--line);border-radius:99px;
background:var(--card);white-space:nowrap}.state::before{content:"";display:inline-block;width:8px;
height:8px;border-radius:50%;background:currentColor;margin-right:8px}
.box{background:var(--card);border:1px solid var(--line);border-radius:10px;overflow-x:auto}
table{width:100%;border-collapse:collapse}td,th{text-align:left;vertical-align:top;padding:9px 16px;
border-top:1px solid var(--line)}tr:first-child>*{border-top:0}
th{font-weight:500;font-size:13px;color:var(--dim);white-space:nowrap;background:var(--soft)}
td p{margin:0;color:var(--dim);font-size:14px}
.five{table-layout:fixed;min-width:860px}.five th:nth-child(1){width:92px}
.five th:nth-child(2){width:22%}.five th:nth-child(3){width:29%}.five th:nth-child(4){width:19%}
code,pre{font:13px/1.55 ui-monospace,"Cascadia Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace}
.tag{font-weight:600;font-size:13px}.topic{display:inline-block;background:var(--soft);
border-radius:5px;padding:0 6px;margin:1px 4px 1px 0}
.api{color:var(--api)}.event{color:var(--event)}.cron{color:var(--cron)}.noop{color:var(--noop)}
.stream{color:var(--stream)}.error,.broken{color:var(--error)}.warning{color:var(--warning)}
.info{color:var(--info)}.ok{color:var(--ok)}
article{padding:14px 16px;border-top:1px solid var(--line)}article:first-child{border-top:0}
article p{margin:2px 0 0}article .tag{margin-right:8px}article code{font-weight:600}
pre{margin:10px 0 0;padding:8px 12px;background:var(--soft);border-radius:6px;overflow-x:auto;
overflow-wrap:normal;color:var(--dim)}pre b{font-weight:400;color:var(--fg)}
details{padding:10px 16px;border-top:1px solid var(--line)}details article{padding:14px 0}
details:first-child{border-top:0}summary{cursor:pointer;color:var(--dim)}
.empty{padding:28px 24px}.empty p{margin:0 0 12px}.empty pre{color:var(--fg)}
footer{margin-top:40px;padding-top:16px;border-top:1px solid var(--line);font-size:14px}
footer a{margin-right:14px}
"""
_FIRST_STEP = """config = {"type": "api", "name": "Hello", "method": "GET", "path": "/hello"}

async def handler(request, context):
    return {"status": 200, "body": {"hello": "world"}}"""
_LANGUAGES = {"typescript": "TypeScript", "javascript": "JavaScript"}
_SEVERITIES = ("error", "warning", "info")


def overview(
    project: Mapping[str, Any], listing: Mapping[str, Any], status: Mapping[str, Any]
) -> str:
    """A whole HTML page from `stepweave steps --json`'s listing and the status of the runners."""
    items = [*listing["steps"], *listing["streams"]]
    problems = [problem for item in items for problem in item["problems"]]
    problems += listing["problems"]
    name = escape(str(project["name"]))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f'<title>{name} · Stepweave</title><link rel="icon" href="{_ICON}">'
        f"<style>{_STYLE}</style></head><body><main>"
        f"<header><div><h1>{name}</h1><p>Stepweave {escape(str(project['version']))} · "
        f"{_summary(listing)}</p></div>{_state(problems)}</header>"
        f"{_problems(problems)}{_routes(listing)}{_others(listing, status)}{_empty(items)}"
        f"{_runners(status)}{_footer(status)}</main></body></html>"
    )


def _summary(listing: Mapping[str, Any]) -> str:
    languages = Counter(item["language"] for item in listing["steps"])
    named = sorted(escape(_LANGUAGES.get(each, each.capitalize())) for each in languages)
    steps = _plural(len(listing["steps"]), "step")
    return f"{steps} in {_listed(named)}" if named else "no steps yet"


def _state(problems: Sequence[Mapping[str, Any]]) -> str:
    counts = Counter(problem["severity"] for problem in problems)
    for severity in ("error", "warning"):
        if counts[severity]:
            return f'<span class="state {severity}">{_plural(counts[severity], severity)}</span>'
    return '<span class="state ok">All good</span>'


def _problems(problems: Sequence[Mapping[str, Any]]) -> str:
    """Errors and warnings open, notes folded."""
    if not problems:
        return ""
    grave: list[str] = []
    notes: list[str] = []
    for problem in sorted(problems, key=lambda problem: _SEVERITIES.index(problem["severity"])):
        (notes if problem["severity"] == "info" else grave).append(_problem(problem))
    folded = f"<summary>{_plural(len(notes), 'note')}</summary>{''.join(notes)}"
    rest = f"<details>{folded}</details>" if notes else ""
    return f'<h2>Problems</h2><div class="box">{"".join(grave)}{rest}</div>'


def _problem(problem: Mapping[str, Any]) -> str:
    place = ":".join(
        str(part) for part in (problem["file"], problem["line"], problem["column"]) if part
    )
    severity = escape(problem["severity"])
    hint, frame = problem["hint"], problem["frame"]
    return (
        f'<article><span class="tag {severity}">{severity.capitalize()}</span>'
        f"<code>{escape(place)}</code><p>{escape(problem['message'])}</p>"
        + (f'<p class="dim">→ {escape(hint)}</p>' if hint else "")
        + (f"<pre>{_frame(frame)}</pre>" if frame else "")
        + "</article>"
    )


def _frame(frame: str) -> str:
    rows = (escape(row) for row in frame.splitlines())
    return "\n".join(f"<b>{row}</b>" if row.startswith("&gt;") else row for row in rows)


def _routes(listing: Mapping[str, Any]) -> str:
    rows = []
    for item in listing["steps"]:
        config = item["config"]
        if item["type"] != "api" or not config:
            continue
        method, path = str(config["method"]).upper(), str(config["path"])
        shown = f"<code>{escape(path)}</code>"
        if method == "GET" and not set(path) & set(":*(?"):
            shown = f'<a href="{escape(quote(path, safe="/%"))}">{shown}</a>'
        rows.append(
            f'<tr><td class="tag api">{escape(method)}</td><td>{shown}</td><td>{_name(item)}'
            f"</td><td>{_emitted(config)}</td><td>{_file(item)}</td></tr>"
        )
    return _table("Routes", ("Method", "Path", "Step", "Emits", "File"), rows)


def _others(listing: Mapping[str, Any], status: Mapping[str, Any]) -> str:
    queues = status["events"]["subscriptions"]
    rows = []
    for item in (*listing["steps"], *listing["streams"]):
        if item["type"] == "api":
            continue
        kind, config = escape(item["type"] or "broken"), item["config"] or {}
        source = _topics(config.get("subscribes") or ())
        if config.get("cron"):
            source = f"<code>{escape(str(config['cron']))}</code>"
        queue = queues.get(item["name"], {})
        busy = ", ".join(f"{count:,} {what}" for what, count in queue.items() if count)
        rows.append(
            f'<tr><td class="tag {kind}">{kind}</td><td>{source}'
            f"{f'<p>{escape(busy)}</p>' if busy else ''}</td><td>{_name(item)}</td>"
            f"<td>{_emitted(config)}</td><td>{_file(item)}</td></tr>"
        )
    title = "Events, schedules and streams"
    return _table(title, ("Kind", "Starts on", "Step", "Emits", "File"), rows)


def _name(item: Mapping[str, Any]) -> str:
    about = (item["config"] or {}).get("description")
    return f"{escape(item['name'] or '—')}" + (f"<p>{escape(str(about))}</p>" if about else "")


def _file(item: Mapping[str, Any]) -> str:
    wrong = any(problem["severity"] == "error" for problem in item["problems"])
    path = escape(item["path"]).replace("/", "/<wbr>").replace("_", "_<wbr>")
    return f'<code class="{"broken" if wrong else "dim"}">{path}</code>'


def _emitted(config: Mapping[str, Any]) -> str:
    emits = config.get("emits") or ()
    return _topics(each if isinstance(each, str) else each["topic"] for each in emits)


def _topics(topics: Iterable[str]) -> str:
    return "".join(f'<code class="topic">{escape(topic)}</code>' for topic in topics)


def _empty(items: Sequence[Any]) -> str:
    if items:
        return ""
    return (
        '<h2>Your first step</h2><div class="box empty"><p>This project has no steps yet. Make the '
        "file <code>steps/hello.step.py</code>, then open "
        '<a href="/hello"><code>/hello</code></a>:</p>'
        f"<pre>{escape(_FIRST_STEP)}</pre></div>"
    )


def _runners(status: Mapping[str, Any]) -> str:
    rows = []
    for pool in status["runners"]:
        children = pool["children"]
        version = children[0].get("language_version", "") if children else ""
        fine = "ok" if pool["status"] == "ready" else "warning"
        step = pool.get("step")
        whose = f"{pool['name']} · {step}" if step else pool["name"]
        rows.append(
            f'<tr><td>{escape(whose)} <span class="dim">{escape(version)}</span></td>'
            f'<td class="{fine}">{escape(pool["status"])}</td><td>{len(children)}</td>'
            f"<td>{sum(child['served'] for child in children)}</td><td>{pool['restarts']}</td>"
            f'<td class="dim">{escape(pool["reason"])}</td></tr>'
        )
    for name, reason in status["unavailable"].items():
        away = '<td class="error">not available</td><td></td><td></td><td></td>'
        rows.append(f'<tr><td>{escape(name)}</td>{away}<td class="dim">{escape(reason)}</td></tr>')
    return _table("Runners", ("Runner", "Status", "Processes", "Calls", "Restarts", ""), rows)


def _footer(status: Mapping[str, Any]) -> str:
    events = status["events"]
    api = "/_stepweave/api/"
    links = "".join(
        f'<a href="{api}{name}">{name}</a>'
        for name in ("steps", "status", "traces", "logs", "dead")
    )
    return (
        f"<footer><p>{_plural(status['requests'], 'request')} answered, "
        f"{_plural(events['published'], 'event')} published, {events['delivered']} delivered, "
        f"{events['retried']} retried, {events['buried']} given up since the start.</p>"
        f'<p>As JSON: {links}<a href="/_stepweave/health">health</a></p></footer>'
    )


def _table(title: str, head: Sequence[str], rows: Sequence[str]) -> str:
    if not rows:
        return ""
    cells = "".join(f"<th>{each}</th>" for each in head)
    count, dress = f"<small>{len(rows)}</small>", ' class="five"' if len(head) == 5 else ""
    return (
        f'<h2>{title}{count}</h2><div class="box"><table{dress}><tr>{cells}</tr>'
        f"{''.join(rows)}</table></div>"
    )


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
