"""The HTTP edge: API steps on a raw ASGI path, everything else through Starlette."""
