"""An operator that dies again and again, and what its end is compared with."""

import difflib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support import operator_process
from support.digits import Object
from support.operator_process import OperatorProcess


@contextmanager
def killed_again_and_again(kubeconfig: Path, folder: Path, points: str) -> Iterator[Path]:
    """An operator that is started again each time it dies; yields the folder of the points that struck."""
    struck = folder / "struck"
    struck.mkdir()
    over = threading.Event()
    lives: list[OperatorProcess] = []

    def revive() -> None:
        while not over.is_set():
            environment = {"STRUCK": str(struck), "POINTS": points, "TRAINPUSH_IDENTITY": "the-same-pod"}
            module = "support.killed_operator"
            log = folder / f"operator-{len(lives)}.log"
            lives.append(operator_process.start(kubeconfig, log, module=module, environment=environment))
            lives[-1].process.wait()

    keeper = threading.Thread(target=revive)
    keeper.start()
    try:
        yield struck
    finally:
        over.set()
        lives[-1].stop()
        keeper.join(timeout=30)


def difference(wanted: list[Object], found: list[Object]) -> str:
    """The lines in which two lists of objects differ."""
    before, after = (json.dumps(objects, indent=1, sort_keys=True).splitlines() for objects in (wanted, found))
    return "\n".join(difflib.unified_diff(before, after, lineterm="", n=2))
