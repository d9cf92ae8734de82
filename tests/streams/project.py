"""The project of these tests: streams with and without guards, and a way to change them."""

from __future__ import annotations

__all__ = ["FILES", "GUARDS"]

_BOARD = """
config = {"name": "board", "schema": {"text": "string"}, "baseConfig": {"storageType": "default"}}
"""

_CHANGE = """
config = {"type": "api", "name": "Change", "method": "POST", "path": "/change"}


async def handler(req, context):
    for what, stream, group, id, data in req.body:
        items = context.streams[stream]
        if what == "set":
            await items.set(group, id, data)
        elif what == "delete":
            await items.delete(group, id)
        elif what == "update":
            await items.update(group, id, data)
        elif id is None:
            await items.send({"groupId": group}, data)
        else:
            await items.send({"groupId": group, "id": id}, data)
    return {"status": 200, "body": {}}
"""

_PAGE = """
config = {"type": "api", "name": "Page", "method": "GET", "path": "/page"}


async def handler(req, context):
    return {"status": 200, "body": "<!doctype html><title>A page</title>"}
"""

FILES = {
    "steps/board.stream.py": _BOARD,
    "steps/change.step.py": _CHANGE,
    "steps/page.step.py": _PAGE,
}

GUARDS = {
    "python": (
        "steps/guarded_python.stream.py",
        """
        def can_access(subscription, auth):
            if subscription["groupId"] == "broken":
                raise ValueError("s3cret")
            return bool(auth) and auth["user"] == subscription["groupId"]

        config = {"name": "python", "schema": {"text": "string"}, "canAccess": can_access}
        """,
    ),
    "typescript": (
        "steps/guarded.stream.ts",
        """
        export const config = {
          name: 'typescript',
          schema: { text: 'string' },
          canAccess: async ({ groupId }: { groupId: string; id?: string }, auth: any) => {
            if (groupId === 'broken') throw new Error('s3cret')
            return auth?.user === groupId
          },
        }
        """,
    ),
    "ruby": (
        "steps/guarded_ruby.stream.rb",
        """
        def config = { name: 'ruby', schema: { text: 'string' } }

        def can_access(subscription, auth)
          raise 's3cret' if subscription['groupId'] == 'broken'

          !auth.nil? && auth['user'] == subscription['groupId']
        end
        """,
    ),
}
"""By language, a stream of that name that admits each user to the group of that user's name."""
