"""An operator that dies again and again, and what its end is compared with."""

import difflib
import json
import threading
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from support import killed_operator, operator_process
from support.cluster import Space, a_space
from support.digits import Object, normalised
from support.figures import Figures
from support.operator_process import OperatorProcess
from testbed import Bed
from trainpush.kube.client import Client

OneOf = Callable[[Iterable[str]], str]
"""The fixture `one_of`."""


@contextmanager
def killed_again_and_again(kubeconfig: Path, folder: Path, points: Collection[str]) -> Iterator[Path]:
    """An operator that is started again each time it dies; yields the folder of the points that struck."""
    struck = folder / "struck"
    struck.mkdir()
    over = threading.Event()
    lives: list[OperatorProcess] = []

    def revive() -> None:
        while not over.is_set():
            given = {"STRUCK": str(struck), "POINTS": json.dumps([*points]), "TRAINPUSH_IDENTITY": "the-same-pod"}
            log = folder / f"operator-{len(lives)}.log"
            lives.append(operator_process.start(kubeconfig, log, module=killed_operator.__name__, environment=given))
            lives[-1].process.wait()

    keeper = threading.Thread(target=revive)
    keeper.start()
    try:
        yield struck
    finally:
        over.set()
        lives[-1].stop()
        keeper.join(timeout=30)


async def lived_twice(
    bed: Bed,
    client: Client,
    kubeconfig: Path,
    folder: Path,
    points: Collection[str],
    life: Callable[[Space], Awaitable[list[Object]]],
) -> tuple[list[Object], list[Object], Path]:
    """What is there at the end of a `life` on fake nodes, undisturbed and under an operator that is killed at `points`.

    And the folder of the points that struck.
    """
    async with a_space(bed, client) as space:
        with operator_process.running(kubeconfig, folder / "undisturbed.log"):
            wanted = await life(space)
            await space.clear()
    async with a_space(bed, client) as space:
        with killed_again_and_again(kubeconfig, folder, points) as struck:
            found = await life(space)
            await space.clear()
    return wanted, found, struck


def left_in(space: Space) -> list[Object]:
    """Jobs, pods and Services of a namespace, without what differs from one time to the next."""
    found = json.loads(space.bed.kubectl("get", "tpj,pods,services", "-n", space.name, "-o", "json"))["items"]
    objects: list[Object] = json.loads(json.dumps(normalised(found)).replace(space.name, "namespace"))
    return objects


def tell(figures: Figures, struck: Path, points: Collection[str], wanted: list[Object], found: list[Object]) -> None:
    """The figures of a story: how many of its points struck, and what was compared with an undisturbed run."""
    figures.add("points at which the operator was killed", len(list(struck.iterdir())), len(points))
    figures.add("objects compared with an undisturbed run", len(wanted))
    figures.add("of these different", sum(a != b for a, b in zip(wanted, found, strict=False)), 0)


def difference(wanted: list[Object], found: list[Object]) -> str:
    """The lines in which two lists of objects differ."""
    before, after = (json.dumps(objects, indent=1, sort_keys=True).splitlines() for objects in (wanted, found))
    return "\n".join(difflib.unified_diff(before, after, lineterm="", n=2))
