"""Errors as RFC 9457 problem details, so that every refusal says in words what to do next."""

from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import JSONResponse

PROBLEM_TYPE = "application/problem+json"


def problem(
    status: int, detail: str, *, title: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """A response with a problem document: `title` is the kind of problem, `detail` this one and its remedy."""
    body = {"status": status, "title": title or HTTPStatus(status).phrase, "detail": detail}
    return JSONResponse(body, status, dict(headers or {}), media_type=PROBLEM_TYPE)
