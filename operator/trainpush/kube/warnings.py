"""What Kubernetes warns of in Events: read only where the status of an object does not tell why it does not go on."""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

import msgspec

from trainpush.kube.client import Client
from trainpush.kube.resources import EVENTS

EVENTS_MAX: Final = 50
"""Of so many Events about one object the latest is sought."""
_OVERCOME: Final = "FailedScheduling"
"""Reason of what is over: nobody asks about a pod before it is bound."""
MOST: Final = 10_000
"""Of so many objects is remembered what was warned of; most of them are gone long since."""


class Warned(NamedTuple):
    """What was last warned of about an object."""

    said: str = ""
    """Reason and note; empty if there was nothing."""
    asked: int = 0
    """How often that was asked for."""


NOTHING: Final = Warned()


class Warnings:
    """By the uid of what it is about: the latest of many, lost without harm."""

    def __init__(self, on_news: Callable[[], None]) -> None:
        """Nothing asked yet; `on_news` is called with every answer."""
        self._by_uid: dict[str, Warned] = {}
        self._on_news = on_news

    def __len__(self) -> int:
        """About how many objects something was asked."""
        return len(self._by_uid)

    def get(self, uid: str) -> Warned:
        """What is known of the object with this uid."""
        return self._by_uid.get(uid, NOTHING)

    def put(self, uid: str, said: str) -> None:
        """Take an answer; what was said before stays where there is nothing new, since Events are forgotten."""
        before = self.get(uid)
        self._by_uid[uid] = Warned(said or before.said, before.asked + 1)
        if len(self._by_uid) > MOST:
            del self._by_uid[next(iter(self._by_uid))]
        self._on_news()


class _Series(msgspec.Struct, rename="camel"):
    last_observed_time: str = ""


class _Event(msgspec.Struct, rename="camel"):
    reason: str = ""
    note: str = ""
    event_time: str | None = None
    deprecated_last_timestamp: str | None = None
    series: _Series | None = None

    @property
    def at(self) -> str:
        """When it was last seen, as Kubernetes writes times."""
        return max(self.series.last_observed_time if self.series else "", self.deprecated_last_timestamp or "")


_decode = msgspec.json.Decoder(_Event).decode


async def latest_warning(client: Client, namespace: str, uid: str) -> str:
    """The latest warning about the object with this uid, by one bounded question; empty if there is none.

    Raises:
        ApiError: the API server refused.
    """
    query = {"fieldSelector": f"regarding.uid={uid},type=Warning", "limit": str(EVENTS_MAX)}
    async for page in client.pages(EVENTS, namespace, query=query):
        return latest(page.items)
    return ""


def latest(events: Iterable[bytes | msgspec.Raw]) -> str:
    """The latest of `events` that still matters, as reason and note."""
    told = (event for event in map(_decode, events) if event.reason != _OVERCOME)
    found = max(told, key=lambda event: event.at or event.event_time or "", default=None)
    return f"{found.reason}: {found.note}".strip(": ") if found else ""
