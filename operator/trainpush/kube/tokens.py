"""Which pod it is that shows a token: asked of the API server once per token."""

import asyncio
import base64
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import msgspec

from trainpush.api import names
from trainpush.kube.client import Client, Object
from trainpush.kube.resources import TOKEN_REVIEWS

POD_UID: Final = "authentication.kubernetes.io/pod-uid"
"""Extra field of the user of a token that is bound to a pod."""
KNOWN_MAX: Final = 10_000
"""Most tokens that are remembered."""
REVIEWS_MAX: Final = 16
"""Most questions to the API server at once."""
TOKEN_CHARACTERS: Final = 16_384


class _Bound(msgspec.Struct):
    uid: str


class _Kubernetes(msgspec.Struct):
    pod: _Bound


class _Claims(msgspec.Struct, rename={"kubernetes": "kubernetes.io"}):
    """What a token says of itself."""

    exp: float
    aud: list[str]
    kubernetes: _Kubernetes


class Tokens:
    """Tokens that were found good, until they end."""

    def __init__(self, client: Client, is_known: Callable[[str], bool], now: Callable[[], float] = time.time) -> None:
        """Ask through `client`, of pods alone whose uid `is_known`; `now` gives Unix seconds."""
        self._client = client
        self._is_known = is_known
        self._now = now
        self._until: OrderedDict[bytes, tuple[float, str]] = OrderedDict()
        """End and uid by the digest of a token: it is nowhere kept itself."""
        self._turn = asyncio.Semaphore(REVIEWS_MAX)

    async def pod_of(self, token: str) -> str | None:
        """The uid of the pod that `token` was made for; None if it is not good, not for us, or not of a known pod.

        Raises:
            ApiError: the API server did not answer.
        """
        claims = _claims(token)
        # What a token says of itself proves nothing; but what says the wrong thing is not worth a question.
        if claims is None or names.AUDIENCE not in claims.aud or claims.exp <= self._now():
            return None
        uid = claims.kubernetes.pod.uid
        digest = hashlib.sha256(token.encode()).digest()
        if known := self._until.get(digest):
            return known[1]
        if not self._is_known(uid):
            return None
        async with self._turn:
            status = await self._client.review(TOKEN_REVIEWS, {"token": token, "audiences": [names.AUDIENCE]})
        if not is_of_pod(status, uid):
            return None
        self._until[digest] = (claims.exp, uid)
        if len(self._until) > KNOWN_MAX:
            self._until.popitem(last=False)
        return uid


def is_of_pod(status: Object, uid: str) -> bool:
    """Whether the status of a TokenReview says that the token is good, for us, and bound to the pod with this uid."""
    bound = status.get("user", {}).get("extra", {}).get(POD_UID, [])
    return bool(status.get("authenticated")) and names.AUDIENCE in status.get("audiences", []) and bound == [uid]


def _claims(token: str) -> _Claims | None:
    """The claims of a JSON web token, whose signature is not looked at."""
    parts = token.split(".") if len(token) <= TOKEN_CHARACTERS else []
    try:
        body = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))
        return msgspec.json.decode(body, type=_Claims)
    except (IndexError, ValueError, msgspec.MsgspecError):
        return None
