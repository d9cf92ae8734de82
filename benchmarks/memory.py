"""Memory of the idle system, process by process, beside bare processes of the same kind."""

from __future__ import annotations

import contextlib
import subprocess
import urllib.request

from benchmarks import http, servers
from benchmarks.bare.pipe_calls import COMMANDS, one_frame
from benchmarks.calls import BODY
from benchmarks.processes import NotAvailable, tree
from benchmarks.settings import Settings
from benchmarks.table import Row, Table

__all__ = ["run"]

LANGUAGES = ("typescript", "javascript", "python", "ruby")


def run(_settings: Settings) -> list[Table]:
    """One table: the project of the http benchmark after a call to each step."""
    table = Table("memory: idle, after one call to each language", ("RSS MB", "PSS MB"))
    table.notes.append("PSS counts shared pages once; a ratio of 1 means as small as the bare one")
    baselines = {"starlette": _bare_server()}
    baselines |= {f"bare {language}": _bare_child(language) for language in COMMANDS}
    table.rows += [Row(name, figures) for name, figures in baselines.items() if figures]
    with servers.stepweave(http.STEPS) as ours:
        for language in LANGUAGES:
            url = f"{ours.base}/bench/{language}"
            headers = {"content-type": "application/json"}
            urllib.request.urlopen(urllib.request.Request(url, BODY.encode(), headers)).close()
        weighed = tree(ours.pid)
    for number, (name, rss, pss) in enumerate(weighed):
        kind = next((known for known in COMMANDS if name.startswith(known)), name)
        against = f"bare {kind}" if number else "starlette"
        own = f"{kind} runner" if number else "orchestrator"
        bare = baselines.get(against)
        ratio = bare["PSS MB"] / pss if bare else None
        figures = {"RSS MB": rss, "PSS MB": pss}
        table.rows.append(Row(own, figures, ratio, against if bare else None))
    whole = {"RSS MB": sum(rss for _, rss, _ in weighed), "PSS MB": sum(pss for *_, pss in weighed)}
    table.rows.append(Row("all together", whole))
    return [table]


def _bare_server() -> dict[str, float]:
    with servers.bare("starlette") as bare:
        _, rss, pss = tree(bare.pid)[0]
    return {"RSS MB": rss, "PSS MB": pss}


def _bare_child(language: str) -> dict[str, float]:
    """The weight of an echo child that has answered one frame."""
    if language == "node":
        try:
            servers.node_packages()
        except NotAvailable:
            return {}
    with contextlib.ExitStack() as stack:
        try:
            child = stack.enter_context(
                subprocess.Popen(COMMANDS[language], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            )
        except OSError:
            return {}
        assert child.stdin and child.stdout
        child.stdin.write(one_frame())
        child.stdin.flush()
        child.stdout.read(4)
        _, rss, pss = tree(child.pid)[0]
        child.stdin.close()
    return {"RSS MB": rss, "PSS MB": pss}
