"""A week of a calendar on 200 nodes, in minutes: bounds are kept, no node flaps, and no switch is one too many."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

from support import leaping_operator, operator_process, plots, wait
from support.calendar_oracle import Phase, Seen, breaches, course, fewest, settling, unasked
from support.cluster import a_pool, fake_nodes
from support.figures import Figures
from support.manifests import pool, racks
from support.operator_process import OperatorProcess
from testbed import Bed
from trainpush.kube.client import Client, Object
from trainpush.kube.resources import NODES
from trainpush.render.modes import read

NODES_COUNT: Final = 200
BEGIN: Final = datetime(2027, 3, 24, 23, tzinfo=UTC)
"""Midnight in Berlin, from Wednesday to Thursday; clocks there go forward in the night to Sunday."""
SUMMER: Final = datetime(2027, 3, 28, 1, tzinfo=UTC)
END: Final = datetime(2027, 3, 31, 22, tzinfo=UTC)
"""Midnight in Berlin, a week of 167 hours later."""
WORKING: Final = (25, 26, 29, 30, 31)
"""Days of March: Thursday and Friday in winter, Monday to Wednesday in summer."""
NIGHT: Final = (40, 60)
DAY: Final = (80, 90)
PEAK: Final = (95, 110)
TRAINING_FLOOR: Final = 80
LEAST_TIME: Final = timedelta(hours=1)
GRACE: Final = timedelta(minutes=30)
"""Until then new bounds must be kept; the pool lets 20 of at most 40 nodes switch at a time."""
REAL_SECONDS: Final = 480.0


def a_calendar() -> Object:
    """Few nodes serve at night and at the weekend, more by day, most of them around noon."""

    def window(name: str, begin: str, to: str, least: int, most: int) -> Object:
        days = ["Mon", "Tue", "Wed", "Thu", "Fri"]
        hours = {"from": begin, "to": to, "timeZone": "Europe/Berlin", "days": days}
        return {"name": name, **hours, "inference": {"min": least, "max": most}}

    return pool(
        "week",
        "week",
        modes={
            "default": "Training",
            "training": {"min": TRAINING_FLOOR},
            "inference": {"min": NIGHT[0], "max": NIGHT[1]},
            "schedule": [window("day", "08:00", "20:00", *DAY), window("peak", "12:00", "16:00", *PEAK)],
        },
        switching={
            "policy": "Enforce",
            "maxConcurrent": 20,
            "perHour": 100,
            "minTimeInMode": "1h",
            "cooldown": "30m",
        },
    )


def phases() -> list[Phase]:
    """The same week by hand: what holds from when on, in UTC."""
    found = [Phase(BEGIN, *NIGHT)]
    for day in WORKING:
        midnight = datetime(2027, 3, day, tzinfo=UTC)
        ahead = timedelta(hours=1 if midnight < SUMMER else 2)
        for hour, bounds in ((8, DAY), (12, PEAK), (16, DAY), (20, NIGHT)):
            found.append(Phase(midnight + timedelta(hours=hour) - ahead, *bounds))
    return found


@pytest.fixture(autouse=True)
def _nodes(bed: Bed) -> Iterator[None]:
    """Ten racks of twenty nodes."""
    with fake_nodes(bed, racks("week", [20] * 10)):
        yield


@contextmanager
def running(kubeconfig: Path, folder: Path) -> Iterator[tuple[OperatorProcess, Path]]:
    """An operator that lives through the week, and the file in which its clock stands."""
    clock = folder / "clock"
    clock.write_text(BEGIN.isoformat())
    environment = {"BEGIN": BEGIN.isoformat(), "CLOCK": str(clock)}
    log, module = folder / "operator.log", leaping_operator.__name__
    operator = operator_process.start(kubeconfig, log, module=module, environment=environment)
    try:
        operator_process.wait_ready(operator)
        yield operator, clock
        assert operator.process.poll() is None, f"the operator ended:\n{log.read_text()[-4000:]}"
        assert "\ntrainpush_cycle_errors_total 0.0\n" in operator.get("/metrics")[1], log.read_text()[-4000:]
    finally:
        operator.stop()


@asynccontextmanager
async def recorded(client: Client) -> AsyncIterator[list[Seen]]:
    """Every state in which a node of the pool was seen while the block runs, in order."""
    record: list[Seen] = []
    _, version = await client.list(NODES)
    watching = asyncio.create_task(_record(client, version, record))
    try:
        yield record
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _record(client: Client, version: str, record: list[Seen]) -> None:
    while True:
        async with aclosing(client.watch(NODES, version)) as lines:
            async for line in lines:
                event = json.loads(line)
                assert event["type"] != "ERROR", event
                metadata = event["object"]["metadata"]
                version = metadata["resourceVersion"]
                switch = read(metadata.get("annotations", {}).get("training.ai/switch"))
                if switch and event["type"] == "MODIFIED":
                    label = metadata["labels"]["training.ai/mode"]
                    assert label == (switch.to if switch.step in {"Flipping", "Warming"} else switch.mode)
                    record.append(Seen(metadata["name"], label, switch))


@pytest.mark.story(long=True)
async def test_story_week(bed: Bed, client: Client, kubeconfig: Path, tmp_path: Path, figures: Figures) -> None:
    """From Thursday to Wednesday, with the night in between in which the clocks change."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    async with recorded(client) as record:
        with a_pool(bed, a_calendar()), running(kubeconfig, tmp_path) as (_, clock):
            await wait.until(
                lambda: datetime.fromisoformat(clock.read_text()) >= END, "the week is over", seconds=REAL_SECONDS
            )
            took = loop.time() - begun
            seen = list(record)
    week = phases()
    found = course(seen, NODES_COUNT, LEAST_TIME)
    optimum = fewest(week, NODES_COUNT, before=0)
    broken = list(breaches(found, week, TRAINING_FLOOR, GRACE, END))
    figures.add("simulated hours, in seconds", f"{(END - BEGIN) / timedelta(hours=1):.0f} in {took:.0f}")
    figures.add("changes of bounds", len(week))
    figures.add("states of nodes that were looked at", len(found.moments))
    figures.add("of these out of bounds", len(broken), 0)
    minutes = settling(found, week, END) / timedelta(minutes=1)
    figures.add("simulated minutes until new bounds were kept, at most", minutes, GRACE // timedelta(minutes=1))
    figures.add("nodes that went back before their time", found.hasty, 0)
    figures.add("switches that no change of bounds asked for", unasked(found, week, GRACE), 0)
    figures.add("switches given up", found.aborted, 0)
    figures.add("switches", found.done, f"at most 10 % more than the fewest that keep all bounds, {optimum}")
    if os.environ.get("RECORD"):
        plots.week(found, week, END, SUMMER)
    assert broken == []
    assert (found.hasty, found.aborted, unasked(found, week, GRACE)) == (0, 0, 0)
    assert len(found.began) == found.done <= optimum * 1.1
