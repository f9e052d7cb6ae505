"""What the API server refuses or fails to do, as exceptions that say it in one line."""

import msgspec


class ApiError(Exception):
    """A request that the API server did not carry out, or whose outcome is not known."""

    retry_after: float | None = None
    """Seconds that the server asks to wait before the next try."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        """Keep the HTTP status (0 where no answer came), the CamelCase reason and the server's own words."""
        number = f" ({status})" if status else ""
        super().__init__(" ".join(f"{reason}{number}: {message}".split()))
        self.status = status
        self.reason = reason
        self.message = message


class NotFound(ApiError):  # noqa: N818  named as Kubernetes names the reason
    """No such object, or no such kind (404)."""


class AlreadyExists(ApiError):  # noqa: N818
    """An object of that name is there (409)."""


class Conflict(ApiError):  # noqa: N818
    """The object changed since it was read, or a precondition does not hold (409)."""


class Gone(ApiError):  # noqa: N818
    """The resourceVersion or continue token is too old (410)."""


class Forbidden(ApiError):  # noqa: N818
    """RBAC, a quota or an admission plugin says no (403)."""


class Unauthorized(ApiError):  # noqa: N818
    """The credentials are not accepted (401)."""


class Invalid(ApiError):  # noqa: N818
    """The object or the request is malformed and will be refused again (400, 413, 415, 422)."""


class TooManyRequests(ApiError):  # noqa: N818
    """The server asks for patience (429); nothing was done."""


class Unavailable(ApiError):  # noqa: N818
    """The server failed or could not be reached (5xx, timeout, connection); a write may have happened."""


class _Status(msgspec.Struct):
    """The fields of meta/v1 Status that matter here."""

    reason: str = ""
    message: str = ""
    code: int = 0


_BY_STATUS: dict[int, type[ApiError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: Invalid,
    415: Invalid,
    422: Invalid,
    429: TooManyRequests,
}

_status_decoder = msgspec.json.Decoder(_Status)


def error_from(status: int, body: bytes | msgspec.Raw) -> ApiError:
    """The exception for an answer with this HTTP status; `body` is a meta/v1 Status, or whatever a proxy wrote.

    A `status` of 0 takes the code from the body, as for an ERROR event of a watch.
    """
    try:
        said = _status_decoder.decode(body)
    except msgspec.MsgspecError:
        text = bytes(body[:200]).decode(errors="replace") if isinstance(body, bytes) else ""
        said = _Status(message=text or "no explanation")
    status = status or said.code
    kind = _BY_STATUS.get(status, Unavailable if status >= 500 else ApiError)  # noqa: PLR2004  the class of server errors
    if said.reason == "AlreadyExists":
        kind = AlreadyExists
    return kind(status, said.reason or kind.__name__, said.message)
