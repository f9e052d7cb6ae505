"""Whether this process can do its work at all: asked once, before it starts, with one clear line for each no."""

from typing import Final

from trainpush.kube import rights
from trainpush.kube.client import Client
from trainpush.kube.errors import ApiError, Forbidden, NotFound, Unauthorized
from trainpush.kube.resources import GPUPOOLS, INFERENCESERVICES, TRAINPUSHJOBS, Resource

_SHOWN: Final = 4
"""Most missing rights in one line."""


class StartError(Exception):
    """A reason not to start, with its remedy, in one line."""


async def check(client: Client, source: str, namespace: str) -> None:
    """Ask the API server who we are, what it knows and what we may do.

    Raises:
        StartError: the first thing that is missing.
    """
    for resource in (TRAINPUSHJOBS, INFERENCESERVICES, GPUPOOLS):
        await _check_kind(client, resource, source)
    if lacking := await rights.missing(client, namespace):
        more = f"; and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
        shown = "; ".join(line.removesuffix(".") for line in lacking[:_SHOWN]) + more
        msg = f"missing permissions: {shown}. Apply the output of `trainpush rbac`"
        raise StartError(msg)


async def _check_kind(client: Client, resource: Resource, source: str) -> None:
    try:
        async for _ in client.pages(resource, query={"limit": "1"}):
            return
    except NotFound:
        name = f"{resource.plural}.{resource.group}"
        msg = f"the cluster has no CustomResourceDefinition {name}: apply the files of crds/ first"
        raise StartError(msg) from None
    except Unauthorized as error:
        msg = f"the API server does not accept the credentials of {source}: {error.message}"
        raise StartError(msg) from None
    except Forbidden as error:
        msg = f"missing permissions: {error.message}. Apply the output of `trainpush rbac`"
        raise StartError(msg) from None
    except ApiError as error:
        msg = f"no API server ({source}): {error.message}"
        raise StartError(msg) from None
