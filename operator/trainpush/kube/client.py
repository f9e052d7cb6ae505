"""Requests to the API server: bounded in time, size and number, repeated where that is safe."""

import asyncio
import builtins
import os
import random
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import aiohttp
import msgspec

from trainpush.api import names
from trainpush.kube.concurrency import WriteLimit
from trainpush.kube.credentials import Credentials
from trainpush.kube.errors import ApiError, TooManyRequests, Unauthorized, Unavailable, error_from
from trainpush.kube.resources import ACCESS_REVIEWS, LEASES, TOKEN_REVIEWS, Resource

T = TypeVar("T")

Object = dict[str, Any]
"""A Kubernetes object as JSON."""

PAGE_SIZE: Final = 500
CONNECT_SECONDS: Final = 5.0
WATCH_SECONDS: Final = 290
"""After this the server ends a watch (plus up to 20 s, so that many do not end together)."""
ATTEMPTS: Final = 5
FIRST_DELAY_SECONDS: Final = 0.1

NO_ANSWER: Final = "NoAnswer"
TOO_LARGE: Final = "AnswerTooLarge"
NOT_JSON: Final = "NotJson"
"""Reasons of an `Unavailable` that a second try would only repeat, at the same cost."""

MERGE_PATCH: Final = "application/merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
JSON: Final = "application/json"


class _ListMeta(msgspec.Struct, rename={"resource_version": "resourceVersion", "continue_": "continue"}):
    resource_version: str = ""
    continue_: str = ""


class Page(msgspec.Struct):
    """A part of a list: every object as the bytes that came, and the resourceVersion of the whole list."""

    metadata: _ListMeta
    items: list[msgspec.Raw]

    @property
    def resource_version(self) -> str:
        """Of the whole list, the same on every page: the point at which a watch goes on."""
        return self.metadata.resource_version


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the client puts up with."""

    request_seconds: float = 30.0
    """From sending a request to the end of its answer; also the longest pause that a server may ask for."""
    silence_seconds: float = 150.0
    """A watch that says nothing for so long is dead: the server sends a bookmark every minute, the first after two."""
    answer_bytes: int = 128 << 20
    """Of one answer; a page of 500 objects has a few megabytes."""
    line_bytes: int = 16 << 20
    """Of one line of a watch; etcd takes objects up to 1.5 MiB."""


@dataclass(frozen=True, slots=True)
class Written:
    """A write that the API server has carried out."""

    kind: str
    verb: str
    """create, apply, patch, patch_status or delete."""
    answer: bytes
    """The object as it stands now, or the Status of a deletion, as JSON."""


@dataclass(frozen=True, slots=True)
class Exactly:
    """One object and no later one of the same name; with a resourceVersion, only as it was read."""

    namespace: str | None
    name: str
    uid: str
    resource_version: str | None = None


@dataclass(frozen=True, slots=True)
class _Request:
    resource: Resource
    verb: str
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = JSON
    is_repeatable: bool = True
    """Whether doing it twice ends in the same state, so that an unknown outcome may be tried again."""

    @property
    def is_write(self) -> bool:
        return self.method != "GET" and self.resource not in {ACCESS_REVIEWS, TOKEN_REVIEWS}


_page_decoder = msgspec.json.Decoder(Page)
_object_decoder = msgspec.json.Decoder(Object)


class Client:
    """The API server as coroutines. Every method raises an `ApiError` when the server says no or says nothing."""

    def __init__(
        self,
        credentials: Credentials,
        *,
        user_agent: str = names.FIELD_MANAGER,
        on_write: Callable[[Written], None] | None = None,
        bounds: Bounds = Bounds(),
    ) -> None:
        """Keep the credentials; `on_write` is called as soon as a write has succeeded."""
        self._credentials = credentials
        self._endpoint = credentials.endpoint
        self._user_agent = user_agent
        self._on_write = on_write
        self._bounds = bounds
        self._limit = WriteLimit()
        self._limit_of_statuses = WriteLimit()
        """What is done for an object waits for its status, and that must not queue behind what is done for others."""
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        """Open the session."""
        silence = self._bounds.silence_seconds
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=silence),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence),
            # Compressed lists cost the server more time than they save on a cluster's own network.
            headers={"User-Agent": self._user_agent, "Accept": JSON, "Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the session and with it every connection."""
        if self._session:
            await self._session.close()

    async def get(self, resource: Resource, name: str, namespace: str | None = None) -> Object:
        """Read one object."""
        return _decoded(await self._send(_Request(resource, "get", "GET", resource.path(namespace, name))))

    async def pages(
        self, resource: Resource, namespace: str | None = None, *, query: Mapping[str, str] | None = None
    ) -> AsyncIterator[Page]:
        """Read a consistent list page by page; `query` may hold a labelSelector, or another `limit`."""
        parameters = {"limit": str(PAGE_SIZE), **(query or {})}
        while True:
            body = await self._send(_Request(resource, "list", "GET", resource.path(namespace), parameters))
            page = _parsed(_page_decoder, body)
            yield page
            if not page.metadata.continue_:
                return
            parameters = {**parameters, "continue": page.metadata.continue_}

    async def list(
        self, resource: Resource, namespace: str | None = None, *, query: Mapping[str, str] | None = None
    ) -> tuple[list[Object], str]:
        """Read all objects and the resourceVersion of the list."""
        items, version = await self.list_raw(resource, namespace, query=query)
        return [_decoded(item) for item in items], version

    async def list_raw(
        self, resource: Resource, namespace: str | None = None, *, query: Mapping[str, str] | None = None
    ) -> tuple[builtins.list[msgspec.Raw], str]:
        """As `list`, with each object as the bytes that came."""
        items: list[msgspec.Raw] = []
        version = ""
        async for page in self.pages(resource, namespace, query=query):
            items += page.items
            version = page.resource_version
        return items, version

    async def create(self, resource: Resource, body: Object) -> Object:
        """Create an object where its metadata says.

        Not repeated when the outcome is unknown: the caller sees `Unavailable` and, next time, `AlreadyExists`.
        """
        path = resource.path(body["metadata"].get("namespace"))
        return await self._write(resource, "create", "POST", path, body)

    async def apply(self, resource: Resource, body: Object, subresource: str | None = None) -> Object:
        """Create or change an object by server-side apply, taking over fields that others own."""
        metadata = body["metadata"]
        path = resource.path(metadata.get("namespace"), metadata["name"], subresource)
        return await self._write(resource, "apply", "PATCH", path, body)

    async def patch(self, resource: Resource, namespace: str | None, name: str, body: Object) -> Object:
        """Change an object by JSON merge patch; with `metadata.resourceVersion` in it, only as it was read."""
        return await self._write(resource, "patch", "PATCH", resource.path(namespace, name), body)

    async def patch_status(
        self, resource: Resource, namespace: str | None, name: str, resource_version: str, status: Object
    ) -> Object:
        """Change the status by JSON merge patch; a `Conflict` if the object is not the one that was read."""
        body = {"metadata": {"resourceVersion": resource_version}, "status": status}
        return await self._write(resource, "patch_status", "PATCH", resource.path(namespace, name, "status"), body)

    async def delete(self, resource: Resource, target: Exactly, *, grace_seconds: int | None = None) -> None:
        """Delete exactly `target`; its dependants follow in the background."""
        preconditions = {"uid": target.uid}
        if target.resource_version is not None:
            preconditions["resourceVersion"] = target.resource_version
        options: Object = {"propagationPolicy": "Background", "preconditions": preconditions}
        if grace_seconds is not None:
            options["gracePeriodSeconds"] = grace_seconds
        path = resource.path(target.namespace, target.name)
        await self._write(resource, "delete", "DELETE", path, options)

    async def review(self, resource: Resource, spec: Object) -> Object:
        """The status of a review: a question whose answer the API server keeps nowhere."""
        body = msgspec.json.encode({"apiVersion": resource.api_version, "kind": resource.kind, "spec": spec})
        answer = await self._send(_Request(resource, "create", "POST", resource.path(), body=body))
        return dict(_decoded(answer)["status"])

    async def is_allowed(
        self, verb: str, resource: Resource, subresource: str = "", namespace: str = "", name: str = ""
    ) -> bool:
        """Whether the API server would let us; an empty namespace asks for all of them, an empty name for any."""
        attributes = {"verb": verb, "namespace": namespace, "name": name}
        attributes |= {"group": resource.group, "resource": resource.plural, "subresource": subresource}
        return bool((await self.review(ACCESS_REVIEWS, {"resourceAttributes": attributes}))["allowed"])

    async def watch(
        self,
        resource: Resource,
        resource_version: str,
        namespace: str | None = None,
        *,
        query: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[bytes]:
        """Yield the lines of a watch from `resource_version` until the server ends it; a cut line is dropped.

        `query` may hold a labelSelector.

        Close the iterator (`contextlib.aclosing`) when leaving it early.
        """
        parameters = {
            **(query or {}),
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": resource_version,
            "timeoutSeconds": str(WATCH_SECONDS + random.randint(0, 20)),  # noqa: S311  not a secret
        }
        request = _Request(resource, "watch", "GET", resource.path(namespace), parameters)
        try:
            async with await self._respond(request) as response:
                await self._check(response)
                async for line in _lines(response.content, self._bounds.line_bytes):
                    yield line
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from error

    async def _write(self, resource: Resource, verb: str, method: str, path: str, body: Object) -> Object:
        content_type = {"apply": APPLY_PATCH, "patch": MERGE_PATCH, "patch_status": MERGE_PATCH}.get(verb, JSON)
        query = {} if verb == "delete" else {"fieldManager": names.FIELD_MANAGER}
        request = _Request(
            resource,
            verb,
            method,
            path,
            query | {"force": "true"} if verb == "apply" else query,
            msgspec.json.encode(body),
            content_type,
            is_repeatable=verb not in {"create", "patch_status"},
        )
        return _decoded(await self._send(request))

    async def _send(self, request: _Request) -> bytes:
        """Carry out `request`, again after a pause if the server is overloaded or, where safe, out of reach."""
        delay = FIRST_DELAY_SECONDS
        for left in reversed(range(ATTEMPTS)):
            try:
                return await self._attempt_in_turn(request)
            except ApiError as error:
                if not left or not self._may_repeat(request, error):
                    raise
                pause = error.retry_after or delay * random.uniform(0.5, 1.5)  # noqa: S311  not a secret
            await asyncio.sleep(min(pause, self._bounds.request_seconds))
            delay *= 2
        raise AssertionError

    def _may_repeat(self, request: _Request, error: ApiError) -> bool:
        if isinstance(error, Unauthorized):
            self._credentials.expire()
            return True
        if isinstance(error, Unavailable):
            return request.is_repeatable and error.reason not in {NO_ANSWER, TOO_LARGE, NOT_JSON}
        return isinstance(error, TooManyRequests)

    async def _attempt_in_turn(self, request: _Request) -> bytes:
        # A Lease that queues behind slow writes would be lost because of load alone.
        if not request.is_write or request.resource == LEASES:
            return await self._attempt(request)
        limit = self._limit_of_statuses if request.verb == "patch_status" else self._limit
        async with limit as window:
            with limit.learning(window, TooManyRequests, Unavailable):
                return await self._attempt(request)

    async def _attempt(self, request: _Request) -> bytes:
        try:
            async with asyncio.timeout(self._bounds.request_seconds), await self._respond(request) as response:
                await self._check(response)
                answer = await self._read(response)
        except (aiohttp.ClientError, OSError) as error:
            raise self._unreachable(error) from error
        if request.is_write and self._on_write:
            self._on_write(Written(request.resource.kind, request.verb, answer))
        return answer

    async def _respond(self, request: _Request) -> aiohttp.ClientResponse:
        if self._session is None:
            msg = "the client is used outside of `async with`"
            raise RuntimeError(msg)
        headers = {"Content-Type": request.content_type} if request.body is not None else {}
        if authorization := await self._credentials.authorization():
            headers["Authorization"] = authorization
        return await self._session.request(
            request.method,
            self._endpoint.server + request.path,
            params=request.query,
            data=request.body,
            headers=headers,
            ssl=self._credentials.ssl_context,
            server_hostname=self._endpoint.tls_server_name,
            proxy=self._endpoint.proxy_url,
            allow_redirects=False,
        )

    async def _check(self, response: aiohttp.ClientResponse) -> None:
        if response.status >= 300:  # noqa: PLR2004  all answers but success
            error = error_from(response.status, await self._read(response))
            pause = response.headers.get("Retry-After", "")
            error.retry_after = float(pause) if pause.isdecimal() else None
            raise error

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk
            if len(body) > self._bounds.answer_bytes:
                raise Unavailable(0, TOO_LARGE, f"more than {self._bounds.answer_bytes} bytes from {response.url.path}")
        return bytes(body)

    def _unreachable(self, error: Exception) -> Unavailable:
        timed_out = isinstance(error, TimeoutError)
        return Unavailable(0, NO_ANSWER if timed_out else "Unreachable", f"{self._endpoint.server}: {_cause(error)}")


async def _lines(content: aiohttp.StreamReader, most_bytes: int) -> AsyncIterator[bytes]:
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line:
                yield line
        if len(rest) > most_bytes:
            raise Unavailable(0, TOO_LARGE, f"a line of more than {most_bytes} bytes")


def _cause(error: Exception) -> str:
    """What went wrong, without the addresses of Python objects that aiohttp's own words carry."""
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"the server's certificate is not trusted ({error.certificate_error})"
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


def _decoded(body: bytes | msgspec.Raw) -> Object:
    return _parsed(_object_decoder, body)


def _parsed(decoder: msgspec.json.Decoder[T], body: bytes | msgspec.Raw) -> T:
    try:
        return decoder.decode(body)
    except msgspec.MsgspecError as error:
        raise Unavailable(0, NOT_JSON, f"the answer cannot be read: {error}") from error
