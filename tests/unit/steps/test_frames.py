"""Code frames, and finding the line of a config key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepweave.steps import locate
from stepweave.steps.frames import code_frame

SOURCE = """\
import { z } from 'zod'

export const config = {
  type: 'event',
  name: 42,
  subscribes: [],
}
"""


def test_a_frame_shows_the_line_with_its_neighbours() -> None:
    assert code_frame(SOURCE, 5, 9) == "\n".join(
        [
            "  3 | export const config = {",
            "  4 |   type: 'event',",
            "> 5 |   name: 42,",
            "    |         ^",
            "  6 |   subscribes: [],",
            "  7 | }",
        ]
    )


def test_a_frame_without_a_column_has_no_caret() -> None:
    assert code_frame("a\nb\nc", 2, context=1) == "  1 | a\n> 2 | b\n  3 | c"


def test_numbers_are_aligned() -> None:
    frame = code_frame("\n".join("x" * 12), 9, 1, context=1)

    assert frame == "   8 | x\n>  9 | x\n     | ^\n  10 | x"


def test_a_frame_at_the_edges_is_shorter() -> None:
    assert code_frame("a\nb", 1) == "> 1 | a\n  2 | b"
    assert code_frame("a\nb", 2) == "  1 | a\n> 2 | b"
    assert code_frame("a\nb", 0) == "> 1 | a\n  2 | b"


def test_a_line_beyond_the_end_gives_the_end() -> None:
    assert code_frame("a\nb\nc", 9, context=1) == "  2 | b\n  3 | c"
    assert code_frame("", 1) == ""


def test_the_caret_stands_under_its_column_after_tabs() -> None:
    assert code_frame("\tx = 1", 1, 2) == "> 1 |   x = 1\n    |   ^"


def test_long_lines_and_control_characters_do_no_harm() -> None:
    frame = code_frame("x" * 500 + "\n\x1b[31mred", 2, 3)

    assert "\x1b" not in frame
    assert max(len(line) for line in frame.splitlines()) < 180


@given(st.text(), st.integers(-3, 50), st.none() | st.integers(-3, 500), st.integers(0, 5))
def test_a_frame_can_be_made_of_anything(
    source: str, line: int, column: int | None, context: int
) -> None:
    frame = code_frame(source, line, column, context)

    assert frame.count("^\n") <= len(frame)
    assert frame.isprintable() or "\n" in frame


LANGUAGES = {
    "typescript": SOURCE.replace(
        "name: 42", "flows: ['a'], bodySchema: z.object({ name: z.string() })"
    ),
    "javascript": "// config = {}\nexports.config = {\n  type: 'api',\n  bodySchema: {},\n}\n",
    "python": '"""Has a config."""\nconfig = {\n    "type": "api",\n    "body_schema": {},\n}\n',
    "python dict": "config = dict(\n    type='api',\n    body_schema={},\n)\n",
    "ruby": "def config\n  {\n    type: 'api',\n    bodySchema: {},\n  }\nend\n",
    "ruby rockets": "def config\n  {\n    :type => 'api',\n    'body_schema' => {},\n  }\nend\n",
    "default export": "export default {\n  config: {\n    type: 'api',\n    bodySchema,\n  },\n}\n",
    "function": "export function config() {\n  return {\n    bodySchema: {} }\n}\n",
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_key_is_found_in_every_language(language: str) -> None:
    source = LANGUAGES[language]
    place = locate.key(source, "bodySchema")
    lines = source.splitlines()
    line = next(
        i for i, text in enumerate(lines, 1) if "body_schema" in text or "bodySchema" in text
    )

    assert place is not None
    assert place.line == line
    rest = lines[line - 1][place.column - 1 :].lstrip("'\":")
    assert rest.startswith(("bodySchema", "body_schema"))


def test_a_key_inside_others_is_looked_for_after_them() -> None:
    source = (
        "timeout = 3\nconfig = {\n 'infrastructure': {\n  'handler': {\n   'timeout': 5 } } }\n"
    )

    assert locate.key(source, "infrastructure.handler.timeout") == (5, 4)
    assert locate.key(source, "infrastructure.queue.type") == (3, 2)
    assert locate.key(source, "missing") is None


def test_comments_and_other_words_are_passed_over() -> None:
    source = "config = {\n  # name: 'old'\n  'rename': 1, 'x.name': 2,\n  'name': 'new' }\n"

    assert locate.key(source, "name") == (4, 3)


def test_a_topic_is_found_after_its_key() -> None:
    source = "config = {\n  'subscribes': ['a.b'],\n  'emits': [\n    'c.d',\n    'a.b'] }\n"

    assert locate.text(source, "a.b", "emits") == (5, 5)
    assert locate.text(source, "a.b") == (2, 18)
    assert locate.text(source, "zz") is None


def test_the_config_itself_is_found() -> None:
    assert locate.config("import x\n\nexport const config: ApiRouteConfig = {") == (3, 14)
    assert locate.config("dotenv.config()\nconst config = {}") == (2, 7)
    assert locate.config("nothing here") is None


@given(st.text(), st.text())
def test_looking_for_anything_in_anything_never_fails(source: str, key: str) -> None:
    locate.key(source, key)
    locate.text(source, key, key)
    locate.config(source)
