"""The plain page at `/`: the project's routes, steps and problems."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

__all__ = ["overview"]

_STYLE = """
:root{color-scheme:light dark;--fg:#1b1f24;--dim:#5b6470;--bg:#fbfbfc;--line:#dfe3e8;--card:#fff;
--api:#116b3a;--event:#1a56b8;--cron:#a04a00;--noop:#5b6470;--stream:#6b3fb5;--bad:#b3261e;--warn:#8a5a00}
@media (prefers-color-scheme:dark){:root{--fg:#e6e8eb;--dim:#9aa4b0;--bg:#16181c;--line:#2c3138;
--card:#1d2025;--api:#5fd08f;--event:#7fb2ff;--cron:#ffb066;--noop:#9aa4b0;--stream:#c4a5ff;--bad:#ff8a80;
--warn:#ffcf70}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);
font:15px/1.5 system-ui,"Segoe UI",Roboto,sans-serif}
main{max-width:1080px;margin:0 auto;padding:32px 24px 64px}
h1{font-size:22px;margin:0}h2{font-size:13px;letter-spacing:.06em;text-transform:uppercase;
color:var(--dim);margin:32px 0 8px}p{margin:4px 0;color:var(--dim)}
table{width:100%;border-collapse:collapse;background:var(--card);border:1px solid var(--line);
border-radius:8px;overflow:hidden}
th,td{text-align:left;padding:8px 12px;border-top:1px solid var(--line);vertical-align:top}
tr:first-child th,tr:first-child td{border-top:0}th{font-weight:600;color:var(--dim);font-size:13px}
code,pre{font:13px/1.5 ui-monospace,"Cascadia Mono",Menlo,Consolas,monospace}
pre{margin:8px 0 0;padding:8px 12px;border:1px solid var(--line);border-radius:6px;overflow:auto}
.wide{overflow-x:auto}.api{color:var(--api)}.event{color:var(--event)}.cron{color:var(--cron)}
.noop{color:var(--noop)}.stream{color:var(--stream)}.error{color:var(--bad)}.warning{color:var(--warn)}
.tag{font-weight:600;font-size:13px}
"""


def overview(
    project: Mapping[str, Any], listing: Mapping[str, Any], status: Mapping[str, Any]
) -> str:
    """A whole HTML page from `stepweave steps --json`'s listing and the status of the runners."""
    name = escape(str(project["name"]))
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>{name} · Stepweave</title><style>{_STYLE}</style></head><body><main>",
        f"<h1>{name}</h1><p>Stepweave {escape(str(project['version']))} · {_summary(listing)}</p>",
        _problems(listing),
        _routes(listing),
        _steps(listing),
        _runners(status),
        "</main></body></html>",
    ]
    return "".join(parts)


def _summary(listing: Mapping[str, Any]) -> str:
    counts: dict[str, int] = {}
    for item in listing["steps"]:
        counts[item["language"]] = counts.get(item["language"], 0) + 1
    listed = ", ".join(f"{count} {escape(language)}" for language, count in sorted(counts.items()))
    return f"{len(listing['steps'])} steps ({listed})" if counts else "no steps yet"


def _problems(listing: Mapping[str, Any]) -> str:
    items = [
        problem for item in (*listing["steps"], *listing["streams"]) for problem in item["problems"]
    ] + list(listing["problems"])
    if not items:
        return ""
    rows = [
        f'<tr><td class="tag {escape(p["severity"])}">{escape(p["severity"])}</td><td>'
        f"<code>{escape(_place(p))}</code><br>{escape(p['message'])}"
        + (f"<p>{escape(p['hint'])}</p>" if p.get("hint") else "")
        + (f"<pre>{escape(p['frame'])}</pre>" if p.get("frame") else "")
        + "</td></tr>"
        for p in items
    ]
    return _table("Problems", "", rows)


def _place(problem: Mapping[str, Any]) -> str:
    return f"{problem['file']}:{problem['line']}" if problem.get("line") else str(problem["file"])


def _routes(listing: Mapping[str, Any]) -> str:
    rows = [
        f'<tr><td class="tag api">{escape(item["config"]["method"])}</td>'
        f"<td><code>{escape(item['config']['path'])}</code></td><td>{escape(item['name'])}</td>"
        f"<td>{escape(item['config'].get('description') or '')}</td></tr>"
        for item in listing["steps"]
        if item["type"] == "api" and item["config"]
    ]
    head = "<th>Method</th><th>Path</th><th>Step</th><th>Description</th>"
    return _table("Routes", head, rows) if rows else ""


def _steps(listing: Mapping[str, Any]) -> str:
    rows = []
    for item in (*listing["steps"], *listing["streams"]):
        kind = escape(item["type"] or "broken")
        config = item["config"] or {}
        source = ", ".join(config.get("subscribes") or ()) or config.get("cron") or ""
        target = ", ".join(
            topic if isinstance(topic, str) else topic["topic"]
            for topic in config.get("emits") or ()
        )
        rows.append(
            f'<tr><td class="tag {kind}">{kind}</td><td>{escape(item["name"] or "—")}</td>'
            f"<td>{escape(item['language'])}</td><td><code>{escape(item['path'])}</code></td>"
            f"<td><code>{escape(source)}</code></td><td><code>{escape(target)}</code></td></tr>"
        )
    head = (
        "<th>Type</th><th>Name</th><th>Language</th><th>File</th><th>Starts on</th><th>Emits</th>"
    )
    if not rows:
        return "<h2>Steps</h2><p>Add a file such as steps/hello.step.py to begin.</p>"
    return _table("Steps", head, rows)


def _runners(status: Mapping[str, Any]) -> str:
    rows = [
        f"<tr><td>{escape(pool['name'])}</td><td>{escape(pool['status'])}</td>"
        f"<td>{len(pool['children'])}</td><td>{sum(c['served'] for c in pool['children'])}</td>"
        f"<td>{escape(pool['reason'])}</td></tr>"
        for pool in status["runners"]
    ]
    head = "<th>Runner</th><th>Status</th><th>Processes</th><th>Calls served</th><th></th>"
    return _table("Runners", head, rows) if rows else ""


def _table(title: str, head: str, rows: list[str]) -> str:
    first = f"<tr>{head}</tr>" if head else ""
    return f'<h2>{title}</h2><div class="wide"><table>{first}{"".join(rows)}</table></div>'
