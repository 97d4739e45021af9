"""RFC 9457 problem details: one exception base, one set of handlers."""

import re
from http import HTTPStatus
from typing import Any, ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from common import pointers

TYPE_BASE = "urn:openlade:problem:"


class Problem(Exception):
    """An expected refusal. Subclass it beside the code that raises it.

    The class name is the public identifier (TariffOverlap -> urn:openlade:problem:tariff-overlap),
    so renaming one is a breaking API change.
    """

    status: ClassVar[int]
    title: ClassVar[str]
    headers: ClassVar[dict[str, str]] = {}

    def __init__(self, detail: str, **members: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.members = members

    def sent_headers(self) -> dict[str, str]:
        """Of the answer; for those that only this refusal can tell."""
        return self.headers

    @classmethod
    def type_uri(cls) -> str:
        return TYPE_BASE + re.sub(r"(?<!^)(?=[A-Z])", "-", cls.__name__).lower()


class NotFound(Problem):
    status = 404
    title = "Not found"


class NotConfigured(Problem):
    status = 503
    title = "This installation is not set up for it"


class ProblemDocument(BaseModel):
    """The shape of every response that is not a success (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=[TYPE_BASE + "not-found"])
    title: str
    status: int
    detail: str | None
    instance: str


# Shown in OpenAPI for every route; the content type is the problem's own.
RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A problem (RFC 9457)",
        "content": {
            "application/problem+json": {
                "schema": {"$ref": "#/components/schemas/ProblemDocument"},
            },
        },
    },
}


def _response(
    request: Request, status: int, type_uri: str, title: str, detail: str | None, **members: Any
) -> JSONResponse:
    body = {
        "type": type_uri,
        "title": title,
        "status": status,
        "detail": detail,
        "instance": request.url.path,
        **members,
    }
    return JSONResponse(body, status_code=status, media_type="application/problem+json")


async def _on_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, Problem)
    response = _response(
        request, error.status, error.type_uri(), error.title, error.detail, **error.members
    )
    response.headers.update(error.sent_headers())
    return response


def told(error: RequestValidationError) -> tuple[str, list[dict[str, str]]]:
    """In a sentence, and each mistake with its JSON pointer."""
    errors = [
        {
            "pointer": pointers.pointer(one["loc"], error.body, one.get("type", "")),
            "detail": one["msg"].removeprefix("Value error, "),
        }
        for one in error.errors()
    ]
    number = len({one["pointer"] for one in errors})
    wrong = "1 field is wrong" if number == 1 else f"{number} fields are wrong, the first"
    return f"{wrong}: {errors[0]['pointer']}: {errors[0]['detail']}", errors


async def _on_validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    detail, errors = told(error)
    type_uri = TYPE_BASE + "invalid-request"
    return _response(request, 422, type_uri, "Invalid request", detail, errors=errors)


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    title = HTTPStatus(error.status_code).phrase
    detail = None if error.detail == title else str(error.detail)
    response = _response(request, error.status_code, "about:blank", title, detail)
    response.headers.update(error.headers or {})
    return response


async def _on_crash(request: Request, error: Exception) -> JSONResponse:  # noqa: ARG001 - its signature
    return _response(request, 500, "about:blank", "Internal Server Error", None)


def install(app: FastAPI) -> None:
    app.exception_handler(Problem)(_on_problem)
    app.exception_handler(RequestValidationError)(_on_validation)
    app.exception_handler(HTTPException)(_on_http)
    app.exception_handler(Exception)(_on_crash)
