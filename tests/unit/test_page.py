"""The plain page: what it shows first, what it links, and that nothing on it is markup."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepweave.http.page import overview

VOID = {"meta", "link", "wbr", "br"}


class Page(HTMLParser):
    """The texts and links of a page whose elements are all closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        assert not any(name.startswith("on") for name in given)
        if tag == "a":
            self.links.append(given["href"] or "")
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open[-1:] != ["style"]:
            self.texts.append(data)


def item(
    name: str | None = "Hello",
    type: str | None = "api",
    *,
    file: str = "steps/hello.step.py",
    language: str = "python",
    problems: list[dict[str, Any]] | None = None,
    **config: Any,
) -> dict[str, Any]:
    if type == "api":
        config = {"method": "GET", "path": "/hello", **config}
    return {
        "name": name,
        "type": type,
        "language": language,
        "path": file,
        "config": {"type": type, "name": name, **config} if type else None,
        "problems": problems or [],
    }


def problem(severity: str = "error", **more: Any) -> dict[str, Any]:
    blank = {"line": None, "column": None, "frame": None, "hint": None}
    return {
        "severity": severity,
        "code": "load_failed",
        "message": f"this is an {severity}",
        "file": "steps/hello.step.py",
        **blank,
        **more,
    }


def pool(**more: Any) -> dict[str, Any]:
    child = {"served": 3, "language_version": "3.11.7"}
    return {
        "name": "python",
        "status": "ready",
        "reason": "",
        "restarts": 0,
        "children": [child, child],
        **more,
    }


def show(
    *items: dict[str, Any],
    streams: list[dict[str, Any]] | None = None,
    problems: list[dict[str, Any]] | None = None,
    name: str = "shop",
    **status: Any,
) -> Page:
    listing = {"steps": items, "streams": streams or [], "problems": problems or []}
    events = {"published": 0, "delivered": 0, "retried": 0, "buried": 0, "subscriptions": {}}
    shown = {"runners": [pool()], "unavailable": {}, "events": events, "requests": 0, **status}
    return Page(overview({"name": name, "version": "1.2.3"}, listing, shown))


def in_order(page: Page, *texts: str) -> None:
    places = [page.text.index(text) for text in texts]
    assert places == sorted(places)


def test_a_project_in_order_shows_routes_then_the_rest_then_runners() -> None:
    page = show(
        item("Pay", "event", subscribes=["order.created"], emits=["paid", {"topic": "late"}]),
        item("Order", description="Takes an order", emits=["order.created"], language="ruby"),
        item("Audit", "cron", cron="0 9 * * 1", language="typescript"),
        streams=[item("chat", "stream", file="streams/chat.stream.py")],
    )

    in_order(page, "shop", "Stepweave 1.2.3 · 3 steps in Python, Ruby and TypeScript", "All good")
    in_order(page, "All good", "Routes 1", "Events, schedules and streams 3", "Runners 1")
    assert "GET /hello Order Takes an order order.created" in page.text
    assert "event order.created Pay paid late" in page.text
    assert "cron 0 9 * * 1 Audit" in page.text
    assert "python 3.11.7 ready 2 6 0" in page.text
    assert "Problems" not in page.text


def test_problems_come_first_the_gravest_before_the_others() -> None:
    page = show(
        item(problems=[problem("info"), problem("warning")]),
        item(None, None, problems=[problem("error", line=7, column=3)]),
        problems=[problem("info", file="steps/order-step.rb", hint="call it order.step.rb")],
    )

    in_order(page, "1 error", "Problems", "this is an error", "this is an warning", "Routes")
    in_order(page, "this is an warning", "2 notes", "this is an info", "Routes")
    assert "steps/hello.step.py:7:3" in page.text
    assert "→ call it order.step.rb" in page.text
    assert page.tags.count("details") == 1
    assert "broken" in page.text


def test_a_warning_alone_is_what_the_page_says_of_the_project() -> None:
    assert "1 warning" in show(item(problems=[problem("warning")])).text
    assert "All good" in show(item(problems=[problem("info")])).text


def test_a_code_frame_keeps_its_lines_and_marks_the_one_meant() -> None:
    frame = "  1 | a = (\n> 2 | b <\n    |   ^"

    page = show(item(None, None, problems=[problem(frame=frame)]))

    assert "".join(page.texts).count(frame) == 1
    assert page.tags.count("b") == 1
    assert "> 2 | b <" in page.texts


def test_an_empty_project_is_told_how_to_begin() -> None:
    page = show()

    assert "no steps yet" in page.text
    assert "steps/hello.step.py" in page.text
    assert "async def handler" in page.text
    assert "Routes" not in page.text and "Problems" not in page.text


def test_a_runner_that_is_away_says_why() -> None:
    page = show(
        item(),
        runners=[pool(status="starting", reason="left with exit code 1", children=[])],
        unavailable={"php": "php is not installed"},
    )

    assert "starting 0 0 0 left with exit code 1" in page.text
    assert "php not available php is not installed" in page.text


def test_the_process_of_an_isolated_step_bears_its_name() -> None:
    page = show(item(), runners=[pool(), pool(step="Render<b>")])

    in_order(page, "Runners 2", "python 3.11.7", "python · Render<b> 3.11.7")


def test_a_busy_subscription_says_how_busy() -> None:
    counts = {"running": 2, "waiting": 12000, "delayed": 0}
    events = {"published": 1, "delivered": 5, "retried": 6, "buried": 7}

    page = show(
        item("Pay", "event", subscribes=["a"]),
        events={**events, "subscriptions": {"Pay": counts}},
        requests=1234,
    )

    assert "a 2 running, 12,000 waiting Pay" in page.text
    assert "1,234 requests answered, 1 event published, 5 delivered" in page.text


@pytest.mark.parametrize(
    ("method", "path", "link"),
    [
        ("GET", "/hello", "/hello"),
        ("get", "/caf%C3%A9", "/caf%C3%A9"),
        ("GET", "/ü b", "/%C3%BC%20b"),
        ("GET", "/\\evil.example", "/%5Cevil.example"),
        ("GET", '/"onclick="alert(1)', None),
        ("POST", "/hello", None),
        ("GET", "/pets/:id", None),
        ("GET", "/files/*", None),
    ],
)
def test_a_route_is_a_link_when_a_click_can_ask_for_it(
    method: str, path: str, link: str | None
) -> None:
    page = show(item(method=method, path=path))

    own = [each for each in page.links if not each.startswith("/_stepweave/")]
    assert own == ([link] if link else [])


def test_the_json_behind_the_page_is_linked() -> None:
    links = [link for link in show().links if link.startswith("/_stepweave/")]

    assert "/_stepweave/api/traces" in links and "/_stepweave/health" in links


TAGS = set(show(item(problems=[problem(frame="> x", hint="y")]), item(None, None)).tags)
NASTY = st.text(alphabet="<>\"'&/!-=abonclickscript \n", max_size=40)


@given(NASTY)
def test_no_text_of_a_project_becomes_an_element(text: str) -> None:
    wrong = problem("error", message=text, file=text, line=1, frame=f"> {text}\n{text}", hint=text)
    page = show(
        item(text, description=text, file=text, emits=[text], method=text, problems=[wrong]),
        item(text, "event", subscribes=[text], emits=[{"topic": text}], language=text or "x"),
        item(text, "cron", cron=text),
        name=text,
        runners=[pool(name=text, reason=text)],
        unavailable={text: text},
    )

    assert set(page.tags) <= TAGS | {"wbr"}
