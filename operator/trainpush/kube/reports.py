"""What the programs of workers say while they run: the latest of each, lost without harm."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from trainpush.model.workload import Heard

PACE: Final = timedelta(seconds=30)
"""So often at most the mere progress of one program is a reason to decide anew."""


class Reports:
    """By the uid of the pod that said it; forgotten when the pod goes."""

    def __init__(self, on_news: Callable[[str], None]) -> None:
        """Nothing heard yet; `on_news` is called with the uid of a pod for what a decision may depend on."""
        self._heard: dict[str, Heard] = {}
        self._told_at: dict[str, datetime] = {}
        """When `on_news` was last called for a pod."""
        self._on_news = on_news

    def __len__(self) -> int:
        """How many pods have said something."""
        return len(self._heard)

    def get(self, uid: str) -> Heard | None:
        """What the pod with this uid last said."""
        return self._heard.get(uid)

    def put(self, uid: str, said: Heard) -> None:
        """Take a report or a save; what an earlier one said of checkpoints stays, and steps never go back."""
        before = self._heard.get(uid)
        self._heard[uid] = _joined(before, said) if before else said
        told_at = self._told_at.get(uid)
        if said.saved or told_at is None or said.at - told_at >= PACE:
            self._told_at[uid] = said.at
            self._on_news(uid)

    def forget(self, uid: str) -> None:
        """The pod is gone."""
        self._heard.pop(uid, None)
        self._told_at.pop(uid, None)


def _joined(before: Heard, said: Heard) -> Heard:
    return replace(
        said,
        # A save may be told of some time after it was begun.
        step=max(before.step or 0, said.step or 0) if said.saved else said.step,
        total=said.total if said.total is not None else before.total,
        metrics=said.metrics or before.metrics,
        saved=max(filter(None, (said.saved, before.saved)), key=lambda saved: saved.step, default=None),
        request=said.request or before.request,
    )
