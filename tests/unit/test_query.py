"""Query strings and forms: repeated keys, lists, nested objects, and whatever a stranger types."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stepweave.errors import InvalidInput
from stepweave.http.query import parse


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("", {}),
        ("a=1", {"a": "1"}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a=", {"a": ""}),
        ("a", {"a": ""}),
        ("=1", {"": "1"}),
        ("&&a=1&", {"a": "1"}),
        ("a=b=c", {"a": "b=c"}),
        ("a+b=c+d", {"a b": "c d"}),
        ("a%26=%3D", {"a&": "="}),
        ("q=caf%C3%A9%20%F0%9F%90%BE", {"q": "café 🐾"}),
        ("a=1;b=2", {"a": "1;b=2"}),
        ("a=%zz", {"a": "%zz"}),
        ("a=%ff", {"a": "\ufffd"}),
    ],
)
def test_plain_fields_are_text(text: str, means: dict[str, Any]) -> None:
    assert parse(text) == means


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("a=1&a=2&a=3", {"a": ["1", "2", "3"]}),
        ("a=&a=", {"a": ["", ""]}),
        ("a[]=1", {"a": ["1"]}),
        ("a[]=1&a[]=2", {"a": ["1", "2"]}),
        ("a%5B%5D=1&a%5B%5D=2", {"a": ["1", "2"]}),
        ("a=1&a[]=2", {"a": ["1", "2"]}),
        ("a[]=1&a=2", {"a": ["1", "2"]}),
        ("a=1&a=2&a[]=3", {"a": ["1", "2", "3"]}),
        ("a[0]=x&a[1]=y", {"a": ["x", "y"]}),
        ("a[1]=y&a[0]=x", {"a": ["x", "y"]}),
        ("a[0][n]=1&a[1][n]=2", {"a": [{"n": "1"}, {"n": "2"}]}),
        ("a[][b][]=1", {"a": [{"b": ["1"]}]}),
        ("a[][0]=x&a[][1]=y", {"a": [["x", "y"]]}),
    ],
)
def test_repeated_keys_and_brackets_are_lists(text: str, means: dict[str, Any]) -> None:
    assert parse(text) == means


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("a[b]=1", {"a": {"b": "1"}}),
        ("a[b]=1&a[c]=2", {"a": {"b": "1", "c": "2"}}),
        ("a[b][c]=1", {"a": {"b": {"c": "1"}}}),
        ("a[b][]=1&a[b][]=2", {"a": {"b": ["1", "2"]}}),
        ("a[b]=1&a[b]=2", {"a": {"b": ["1", "2"]}}),
        ("a[7]=x", {"a": {"7": "x"}}),
        ("a[0]=x&a[2]=y", {"a": {"0": "x", "2": "y"}}),
        ("a[00]=x", {"a": {"00": "x"}}),
        ("a[b]=1&a=2", {"a": {"b": "1", "": "2"}}),
        ("a=1&a[b]=2", {"a": {"": "1", "b": "2"}}),
        ("a[b]=1&a[b][c]=2", {"a": {"b": {"": "1", "c": "2"}}}),
        ("__proto__[x]=1&constructor=2", {"__proto__": {"x": "1"}, "constructor": "2"}),
    ],
)
def test_names_in_brackets_are_objects(text: str, means: dict[str, Any]) -> None:
    assert parse(text) == means


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("[a]=1", {"[a]": "1"}),
        ("a[b=1", {"a": {"b": "1"}}),
        ("a]=1", {"a]": "1"}),
        ("a[b]c=1", {"a": {"b]c": "1"}}),
        ("a[b][c][d][e][f][g]=1", {"a": {"b": {"c": {"d": {"e": {"f][g": "1"}}}}}}),
    ],
)
def test_brackets_that_make_no_sense_stay_part_of_a_name(text: str, means: dict[str, Any]) -> None:
    assert parse(text) == means


def test_an_index_of_thousands_of_digits_is_a_name() -> None:
    digits = "1" * 5000

    assert parse(f"a[{digits}]=x") == {"a": {digits: "x"}}


def test_a_thousand_fields_are_read_and_one_more_is_refused() -> None:
    assert len(parse("&".join(f"k{i}=v" for i in range(1000)))) == 1000

    with pytest.raises(InvalidInput, match="more than 1,000 fields"):
        parse("&".join(["a=1"] * 1001))


@given(st.dictionaries(st.text().filter(lambda key: "[" not in key), st.text()))
def test_what_a_client_encodes_comes_back(fields: dict[str, str]) -> None:
    assert parse(urlencode(fields)) == fields


@given(
    st.one_of(st.text(), st.text(alphabet="ab01[]=&%+.", max_size=200)),
)
def test_any_text_is_fields_of_text_lists_and_objects(text: str) -> None:
    def check(value: Any, depth: int) -> None:
        assert depth <= 7
        if isinstance(value, dict):
            for key, inner in value.items():
                assert isinstance(key, str)
                check(inner, depth + 1)
        elif isinstance(value, list):
            assert value
            for inner in value:
                check(inner, depth + 1)
        else:
            assert isinstance(value, str)

    check(parse(text), 0)
