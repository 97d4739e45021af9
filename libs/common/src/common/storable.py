"""Text that PostgreSQL cannot hold, not even in a comparison: an address with NUL has no answer.

Here for every route, so that none has to think of it; bodies are refused by their models.
"""

from fastapi import Request
from fastapi.exceptions import RequestValidationError


async def address(request: Request) -> None:
    """A dependency of every route. Raises RequestValidationError: 422 with JSON pointers."""
    found = [("path", name) for name, value in request.path_params.items() if "\0" in str(value)]
    found += [
        ("query", name)
        for name, value in request.query_params.multi_items()
        if "\0" in name or "\0" in value
    ]
    if found:
        errors = [{"loc": place, "msg": "text cannot hold NUL"} for place in found]
        raise RequestValidationError(errors)
