"""What a client's message may be: any JSON is a message or a mistake that can be told."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stepweave.http.stream_messages import InvalidMessage, read_message


@settings(max_examples=200)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda children: (
            st.lists(children, max_size=4)
            | st.dictionaries(
                st.sampled_from(["type", "data", "streamName", "groupId", "id", "subscriptionId"])
                | st.text(max_size=4),
                children | st.sampled_from(["join", "leave"]),
                max_size=6,
            )
        ),
        max_leaves=12,
    )
)
def test_any_json_is_a_message_or_a_mistake(value: Any) -> None:
    try:
        kind, (stream, group, _), subscription = read_message(json.dumps(value).encode())
    except InvalidMessage as wrong:
        assert 0 < len(str(wrong)) < 300
    else:
        assert kind in ("join", "leave")
        assert {type(stream), type(group), type(subscription)} == {str}
