"""Whether a client has an answer already."""

from __future__ import annotations

import pytest

from stepweave.http.finish import Finish
from stepweave.http.response import Reply

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("tag", "known", "status"),
    [
        ('"a"', '"a"', 304),
        ('W/"a"', '"a"', 304),
        ('"a"', 'W/"a"', 304),
        ('"a, b"', '"z", W/"a, b"', 304),
        ('"b"', '"a, b"', 200),
        ("bare", "bare", 304),
        ('"a"', "a", 200),
        ('"a"', "*", 304),
        ('"*"', '"a"', 200),
        ('"a"', "", 200),
        ('"a"', '"a', 200),
    ],
)
async def test_a_tag_is_compared_as_a_whole(tag: str, known: str, status: int) -> None:
    finish = Finish(etag=True, pack_from=None)
    reply = Reply(200, [(b"etag", tag.encode())], b"x")

    assert (await finish.finish(reply, "GET", {"if-none-match": known})).status == status
