"""The project's streams, as a handler sees them: items in groups, which clients watch live."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stepweave_runner import values
from stepweave_runner.errors import StepweaveError
from stepweave_runner.pending import Read, nothing
from stepweave_runner.scope import Scope
from stepweave_runner.state import Group, operations, text

__all__ = ["Stream", "Streams"]


class Streams:
    """`streams.board` and `streams["board"]`; the orchestrator refuses names it does not know.

    It has no methods of its own, so a stream may be called `items` or `get`.
    """

    __slots__ = ("__scope",)

    def __init__(self, scope: Scope) -> None:
        self.__scope = scope

    def __getitem__(self, name: str) -> Stream:
        return Stream(self.__scope, name)

    def __getattr__(self, name: str) -> Stream:
        if name.startswith("__"):
            raise AttributeError(name)
        return Stream(self.__scope, name)


class Stream:
    """Each method can be awaited on the loop and blocks in a thread (`Scope.request`)."""

    def __init__(self, scope: Scope, name: str) -> None:
        self._scope = scope
        self._name = name

    def get(self, group: str, id: str) -> Any:
        """The item, or None if there is none."""
        return self._request("get", group, id)

    def set(self, group: str, id: str, data: Any) -> Any:
        """Write an item; gives it as it is stored."""
        if isinstance(data, Mapping) and "__motia" in data:
            data = {key: value for key, value in data.items() if key != "__motia"}
        try:
            return self._request("set", group, id, data=values.encode(data))
        except StepweaveError as error:
            raise StepweaveError(error.code, f"stream {self._name}, set {id}: {error}") from None

    def update(self, group: str, id: str, ops: Any) -> Any:
        """Change parts of an item at once, as `state.update` does; gives the new one."""
        return self._request("update", group, id, ops=operations("stream.update", ops))

    def delete(self, group: str, id: str) -> Any:
        """Remove an item; gives what was there, or None."""
        return self._request("delete", group, id)

    def get_group(self, group: str) -> Any:
        """The items of a group, oldest first: a list that can also be asked by id."""
        group = text("stream.get_group", "group", group)

        def items(error: Any, result: Any) -> Group:
            pairs = nothing(error, result)
            return Group([(id, self._marked(values.decode(item), group, id)) for id, item in pairs])

        return self._call("list", {"group": group}, items)

    getGroup = list = get_group

    def send(self, channel: Any, event: Mapping[str, Any]) -> Any:
        """Send an event of your own to who watches a group, or an item: nothing is stored.

        `channel` is {"groupId": …, "id"?: …} or the group; `event` {"type": …, "data": …}.
        """
        if not isinstance(channel, Mapping):
            channel = {"groupId": channel}
        group = channel.get("groupId", channel.get("group_id", channel.get("group")))
        if not isinstance(event, Mapping) or not isinstance(event.get("type"), str):
            raise TypeError(f'stream.send needs {{"type": text, "data": …}}, not {event!r:.80}')
        data = values.encode(event["data"]) if "data" in event else None
        params: dict[str, Any] = {
            "group": text("stream.send", "groupId", group),
            "event": {"type": event["type"], "data": data},
        }
        if channel.get("id") is not None:
            params["id"] = text("stream.send", "id", channel["id"])
        return self._call("send", params, nothing)

    def _request(self, method: str, group: Any, id: Any, **more: Any) -> Any:
        group = text(f"stream.{method}", "group", group)
        id = text(f"stream.{method}", "id", id)

        def item(error: Any, result: Any) -> Any:
            return self._marked(values.decode(nothing(error, result)), group, id)

        return self._call(method, {"group": group, "id": id, **more}, item)

    def _call(self, method: str, params: dict[str, Any], read: Read) -> Any:
        params["stream"] = self._name
        return self._scope.request(f"stream.{method}", params, read)

    def _marked(self, item: Any, group: str, id: str) -> Any:
        """The item with the mark by which Motia's clients know where it comes from."""
        if type(item) is dict:
            item["__motia"] = {
                "type": "state-stream",
                "streamName": self._name,
                "groupId": group,
                "id": id,
            }
        return item
