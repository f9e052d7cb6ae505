"""`trainpush snapshot` and `trainpush simulate`: what they do with the words of the command line."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from trainpush.cli import document, manifests
from trainpush.cli.document import Document
from trainpush.cli.show import FORMS
from trainpush.cli.simulation import simulate
from trainpush.cli.taking import take
from trainpush.cli.text import BadInput, text_of
from trainpush.controller.settings import Settings
from trainpush.kube import credentials
from trainpush.kube.client import Written

WAITS: Final = 2
"""Exit status when something that was given would wait or be refused."""


def write_snapshot(settings: Settings, path: str | None, on_write: Callable[[Written], None] | None = None) -> None:
    """Write what the operator reads now to the file `path`, or to standard output.

    Raises:
        BadInput: it cannot be read or written.
    """
    text = _live(settings, on_write).written()
    if path is None:
        sys.stdout.write(text)
        return
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from None


def write_answer(
    settings: Settings,
    files: Sequence[str],
    snapshot: str | None,
    form: str,
    on_write: Callable[[Written], None] | None = None,
) -> int:
    """Print what would happen if `files` were applied to `snapshot`, or to the live cluster; the exit status.

    Raises:
        BadInput: one of both is malformed, or the cluster cannot be read.
    """
    given = manifests.read(files)
    found = document.read(text_of(snapshot, sys.stdin), snapshot) if snapshot else _live(settings, on_write)
    answer = simulate(found, given)
    sys.stdout.write(FORMS[form](answer))
    return 0 if answer.is_settled else WAITS


def _live(settings: Settings, on_write: Callable[[Written], None] | None) -> Document:
    try:
        access = credentials.load(settings.kubeconfig, settings.context)
    except credentials.CredentialsError as error:
        raise BadInput(str(error)) from None
    return asyncio.run(take(access, settings.proxy_image, _leave_out, on_write))


def _leave_out(what: str) -> None:
    sys.stderr.write(f"trainpush: left out, as the operator does: {what}\n")
