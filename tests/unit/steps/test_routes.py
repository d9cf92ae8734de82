"""Patterns that are none, what a table promises beyond the vectors, and that it never fails."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepweave.steps.patterns import Pattern, PatternError, canonical, compile
from stepweave.steps.routes import METHODS, Match, MethodNotAllowed, RouteTable


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("pets", 'does not begin with "/"', 'write "/pets"'),
        ("", 'does not begin with "/"', 'write "/"'),
        ("*", 'does not begin with "/"', 'write "/*"'),
        ("//a", "empty segment", "take out a slash"),
        ("/a//b", "empty segment", "take out a slash"),
        ("/a//", "empty segment", "take out a slash"),
        ("/a/{id}", 'has "{"', "write parameters as :id"),
        ("/a/<id>", 'has "<"', "write parameters as :id"),
        ("/a?b=c", "has a query string", "leave it out; name its parameters in queryParams"),
        ("/a#b", 'has "#"', "clients do not send what follows it"),
        ("/ab?c", 'has "?" after fixed text', "it may only follow a parameter"),
        ("/a(b)", 'has "(" after fixed text', "it may only follow a parameter"),
        ("/a/:x/:x", "has the parameter :x twice", "give each its own name"),
        ("/a/:x(", "has a bracket that is not closed", "close it"),
        ("/a/:x(+)", "has the expression (+)", None),
        ("/a/:x((?i)b)", "has the expression", None),
        ("/a/:x(?P<n>b)", "has the expression", "use (?:…) for groups in it"),
        ("/a/:x(?=b)", "has the expression", "use (?:…) for groups in it"),
        ("/a/:x*y", 'has "*" inside a segment', "write /:x* alone"),
        ("/a/:x(\\d)+", 'has "+" inside a segment', "write /:x+ alone"),
        ("/a/../b", "has a dot segment", None),
        ("/a/%zz", "has a percent sign that begins no escape", "write it as %25"),
        ("/:a?/:b?/:c?/:d?/:e?/:f?", "more than 5 optional", None),
        ("/a" * 65, "more than 64 segments", None),
    ],
)
def test_what_is_no_pattern_says_why(text: str, says: str, hint: str | None) -> None:
    with pytest.raises(PatternError, match=re.escape(says)) as caught:
        compile(text)

    if hint is not None:
        assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("text", "template", "params", "static"),
    [
        ("/", "/", (), True),
        ("/pets/", "/pets", (), True),
        ("/a b/c.d", "/a b/c.d", (), True),
        ("/pets/:id", "/pets/{id}", ("id",), False),
        ("/pets/:id?", "/pets/{id}", ("id",), False),
        ("/r/:name.:format?", "/r/{name}.{format}", ("name", "format"), False),
        ("/y/:year(\\d{4})/:m([a-c/]+)/x", "/y/{year}/{m}/x", ("year", "m"), False),
        ("/f/:from-:to", "/f/{from}-{to}", ("from", "to"), False),
        ("/files/*/x/*", "/files/{0}/x/{1}", ("0", "1"), False),
        ("/d/:path+", "/d/{path}", ("path",), False),
        ("/a/:", "/a/:", (), True),
    ],
)
def test_a_pattern_tells_its_parts(
    text: str, template: str, params: tuple[str, ...], static: bool
) -> None:
    pattern = compile(text)

    assert (pattern.template, pattern.params, pattern.is_static) == (template, params, static)
    assert pattern.source == text


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("/pets/:id", "/Pets/:pet/", True),
        ("/pets/:id?", "/pets/:pet?", True),
        ("/pets/:id?", "/pets/:id", False),
        ("/pets/:id", "/pets/*", False),
        ("/pets/:id(\\d+)", "/pets/:id", False),
        ("/caf%C3%A9", "/café", True),
        ("/", "/:x", False),
    ],
)
def test_patterns_for_the_same_paths_have_one_key(one: str, other: str, same: bool) -> None:
    assert (compile(one).key == compile(other).key) is same


def test_the_first_of_two_like_routes_answers() -> None:
    table = RouteTable(
        [("GET", "/a/:x", 1), ("GET", "/a/:y", 2), ("GET", "/b", 3), ("GET", "/B", 4)]
    )

    assert table.match("GET", "/a/1") == Match(1, {"x": "1"})
    assert table.match("GET", "/b") == Match(3, {})


def test_the_methods_of_a_405_come_in_one_order() -> None:
    table = RouteTable((method, "/a/:x", 0) for method in ["ZAP", *reversed(METHODS)])

    assert table.match("FETCH", "/a/1") == MethodNotAllowed((*METHODS, "ZAP"))


def test_an_empty_table_knows_no_path() -> None:
    assert RouteTable[int](()).match("GET", "/") is None


def test_a_fixed_path_is_answered_without_making_anything() -> None:
    table = RouteTable([("GET", "/a/b", 1)])

    assert table.match("GET", "/a/b") is table.match("GET", "/a/b")


def test_a_thousand_routes_under_one_folder_are_told_apart() -> None:
    table = RouteTable(("GET", f"/api/v1/r{i}/:id/x", i) for i in range(1000))

    for i in range(0, 1000, 7):
        assert table.match("GET", f"/api/v1/r{i}/k/x") == Match(i, {"id": "k"})
    assert table.match("GET", "/api/v1/r1000/k/x") is None


def test_compiled_patterns_are_taken_as_they_are() -> None:
    pattern = compile("/a/:x")

    assert isinstance(pattern, Pattern)
    assert RouteTable([("GET", pattern, 1)]).match("GET", "/a/1") == Match(1, {"x": "1"})


PIECES = st.sampled_from(
    [
        "/",
        "a",
        "B",
        ":x",
        ":y",
        ":z?",
        ":p*",
        ":q+",
        "*",
        "(\\d+)",
        "([a-z])",
        "?",
        ".",
        "-",
        "%41",
        "é",
    ]
)
PATTERNS = st.lists(PIECES, max_size=8).map(lambda parts: "/" + "".join(parts))
PATHS = st.lists(
    st.sampled_from(
        ["/", "a", "b", "1", ".", "..", "%2F", "%2e", "%", "%C3", "%C3%A9", "é", "\n", "A"]
    ),
    max_size=10,
).map("".join)


@given(st.text() | PATTERNS)
def test_any_text_is_a_pattern_or_says_why_not(text: str) -> None:
    try:
        pattern = compile(text)
    except PatternError as error:
        assert str(error)
    else:
        assert pattern.variants
        RouteTable([("GET", pattern, 1)])


@given(st.lists(PATTERNS, max_size=6), st.lists(st.text() | PATHS, max_size=6))
def test_any_request_is_answered(patterns: list[str], paths: list[str]) -> None:
    routes = []
    for index, text in enumerate(patterns):
        try:
            routes.append((METHODS[index % 3], compile(text), index))
        except PatternError:
            continue
    table = RouteTable(routes)

    for path in paths:
        for method in ("GET", "POST", "HEAD", "BREW"):
            answer = table.match(method, path)
            if isinstance(answer, Match):
                pattern = next(pattern for _, pattern, step in routes if step == answer.step)
                assert set(answer.params) <= set(pattern.params)
                decoded = canonical(path)
                assert decoded is not None
                assert "//" not in decoded
                assert not {".", ".."} & set(decoded.split("/"))


@given(st.text(min_size=1), st.text(min_size=1))
def test_a_parameter_comes_out_as_it_went_in(one: str, other: str) -> None:
    table = RouteTable([("GET", "/a/:one/b/:other", 0)])
    try:
        path = f"/a/{quote(one, safe='')}/b/{quote(other, safe='')}"
    except UnicodeEncodeError:
        return

    answer = table.match("GET", path)

    if {one, other} & {".", ".."}:
        assert answer is None
    else:
        assert answer == Match(0, {"one": one, "other": other})
