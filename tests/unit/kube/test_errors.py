"""Answers become exceptions that say what happened in one line."""

import json

import pytest

from trainpush.kube.errors import (
    AlreadyExists,
    ApiError,
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    error_from,
)

KINDS = {
    (400, "BadRequest"): Invalid,
    (401, "Unauthorized"): Unauthorized,
    (403, "Forbidden"): Forbidden,
    (404, "NotFound"): NotFound,
    (405, "MethodNotAllowed"): ApiError,
    (409, "AlreadyExists"): AlreadyExists,
    (409, "Conflict"): Conflict,
    (410, "Expired"): Gone,
    (422, "Invalid"): Invalid,
    (429, "TooManyRequests"): TooManyRequests,
    (500, "InternalError"): Unavailable,
    (503, "ServiceUnavailable"): Unavailable,
    (504, "Timeout"): Unavailable,
}


def a_status(code: int, reason: str, message: str) -> bytes:
    """A meta/v1 Status."""
    return json.dumps({"kind": "Status", "code": code, "reason": reason, "message": message}).encode()


@pytest.mark.parametrize(("status", "reason"), KINDS)
def test_the_kind_follows_status_and_reason(status: int, reason: str) -> None:
    """Callers tell them apart by type."""
    error = error_from(status, a_status(status, reason, "why"))
    assert type(error) is KINDS[status, reason]
    assert (error.status, error.reason, error.message) == (status, reason, "why")


def test_an_error_event_carries_its_own_code() -> None:
    """A watch answers 200 and says 410 later."""
    assert isinstance(error_from(0, a_status(410, "Expired", "too old resource version")), Gone)


def test_one_line() -> None:
    """Webhooks write several lines."""
    assert str(error_from(403, a_status(403, "Forbidden", "no:\n  never"))) == "Forbidden (403): no: never"


@pytest.mark.parametrize("body", [b"<html>bad\ngateway</html>", b"", b'{"message": 3}', b"[]", b"\xff\xfe"])
def test_answers_of_others_are_kept_as_text(body: bytes) -> None:
    """Proxies answer in their own words."""
    error = error_from(502, body)
    assert isinstance(error, Unavailable)
    assert str(error).startswith("Unavailable (502): ")
    assert "\n" not in str(error)
