"""What it takes that workers can report: a certificate they trust, a server, and a label by which they find it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Final

from trainpush.api import names
from trainpush.controller.endpoint import Endpoint
from trainpush.controller.http import listening
from trainpush.controller.preflight import StartError
from trainpush.controller.settings import Settings
from trainpush.kube import certificates, leader_label
from trainpush.kube.certificates import Authority
from trainpush.kube.client import Client
from trainpush.kube.errors import ApiError
from trainpush.kube.lease import Elector
from trainpush.kube.store import Store
from trainpush.kube.tokens import Tokens
from trainpush.render.environment import Address
from trainpush.telemetry.logs import logger
from trainpush.telemetry.metrics import Metrics

LOOK_SECONDS: Final = 3600.0
"""Between two looks at how long the certificate is good."""

_log = logger(__name__)


class Reporting:
    """The side of the operator that faces workers; there is none where it runs outside of the cluster."""

    def __init__(self, settings: Settings, authority: Authority) -> None:
        """Show certificates of `authority`."""
        self._settings = settings
        self._authority = authority
        self._hosts = hosts(settings.namespace)
        self._context = certificates.server_context()
        self._renew_at = self._certify()
        self.address = Address(f"https://{self._hosts[0]}", authority.pem)
        """What workers are told."""

    @asynccontextmanager
    async def serving(
        self, client: Client, store: Store, leads: Callable[[], bool], metrics: Metrics
    ) -> AsyncIterator[None]:
        """Answer workers as long as the block runs.

        Raises:
            StartError: the port cannot be had.
        """
        tokens = Tokens(client, lambda uid: store.pods.get(uid) is not None)
        app = Endpoint(store, tokens.pod_of, leads, metrics).app()
        settings = self._settings
        where = (settings.listen, settings.endpoint_port, "TRAINPUSH_ENDPOINT_PORT")
        async with listening(app, *where, self._context) as port:
            _log.info("workers may report", port=port, url=self.address.url)
            yield

    def parts(self, client: Client, elector: Elector) -> list[Coroutine[Any, Any, None]]:
        """What runs beside the server for as long as the operator does."""
        settings = self._settings
        return [leader_label.follow(client, elector, settings.namespace, settings.pod), self._keep_certified()]

    async def _keep_certified(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            if datetime.now(UTC) >= self._renew_at:
                self._renew_at = self._certify()

    def _certify(self) -> datetime:
        """Show a new certificate from now on; until when it is to be replaced."""
        serving = certificates.serving(self._authority, self._hosts, datetime.now(UTC))
        certificates.use(self._context, serving)
        return serving.renew_at


async def prepare(client: Client, settings: Settings) -> Reporting | None:
    """The side that faces workers, if this replica runs in a pod.

    Raises:
        StartError: the authority cannot be read or made.
    """
    if not settings.pod:
        return None
    try:
        return Reporting(settings, await certificates.authority(client, settings.namespace))
    except (certificates.BadAuthorityError, ApiError) as error:
        raise StartError(str(error)) from None


def hosts(namespace: str) -> tuple[str, ...]:
    """The names of the Service by which workers reach the leader; the first is the one they are told."""
    name = f"{names.ENDPOINT_SERVICE}.{namespace}.svc"
    return name, f"{name}.cluster.local", f"{names.ENDPOINT_SERVICE}.{namespace}"
