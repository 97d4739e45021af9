"""Who is at the other end of the request in hand."""

from contextvars import ContextVar

address: ContextVar[str | None] = ContextVar("address", default=None)
