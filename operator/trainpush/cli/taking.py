"""A snapshot of a live cluster: lists, and nothing but lists, with the credentials of whoever asks."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Final

import msgspec

from trainpush.cli.document import Document, fill, ordered
from trainpush.cli.holdings import HOLDINGS, Body, Holding
from trainpush.cli.text import BadInput, one_line
from trainpush.kube import credentials
from trainpush.kube.client import Client, Object, Written
from trainpush.kube.errors import ApiError, Forbidden, NotFound
from trainpush.kube.store import Store

USER_AGENT: Final = "trainpush-snapshot"


async def take(
    access: credentials.Credentials,
    proxy_image: str,
    leave_out: Callable[[str], None],
    on_write: Callable[[Written], None] | None = None,
) -> Document:
    """The cluster as it is now; `leave_out` is told of each object that the operator cannot read and so leaves out.

    Raises:
        BadInput: the API server did not give a list.
    """
    source = access.endpoint.source
    items: list[Object] = []
    async with Client(access, user_agent=USER_AGENT, on_write=on_write) as client:
        for holding in HOLDINGS.values():
            async for item in _items(client, holding, source, leave_out):
                items.append(item)  # noqa: PERF401 - a comprehension would hide that each is one of many pages
    return Document(datetime.now(UTC), proxy_image, ordered(items), source)


async def _items(
    client: Client, holding: Holding, source: str, leave_out: Callable[[str], None]
) -> AsyncIterator[Object]:
    scratch = Store()
    query = {"labelSelector": holding.selector} if holding.selector else {}
    try:
        async for page in client.pages(holding.resource, query=query):
            for body in page.items:
                if (item := _reduced(holding, body, source, scratch, leave_out)) is not None:
                    yield item
    except NotFound:
        raise BadInput(
            f"{source}: the API server knows no {holding.resource.plural}: install trainpush first"
        ) from None
    except Forbidden as error:
        raise BadInput(f"{source}: you may not list {holding.resource.plural} everywhere: {error.message}") from None
    except ApiError as error:
        raise BadInput(f"{source}: {holding.resource.plural}: {error}") from None


def _reduced(
    holding: Holding, body: Body, source: str, scratch: Store, leave_out: Callable[[str], None]
) -> Object | None:
    try:
        item = holding.reduced(body)
        fill(scratch, item, source)
    except BadInput as error:
        leave_out(str(error))
    except (msgspec.MsgspecError, ValueError) as error:
        leave_out(f"{source}: a {holding.resource.kind}: {one_line(error)}")
    else:
        return item
    return None
