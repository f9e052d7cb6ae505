"""The bound on concurrent writes follows the answers."""

import asyncio
from contextlib import AsyncExitStack

from trainpush.kube.concurrency import LEAST, MOST, START, WriteLimit


async def enter_many(limit: WriteLimit, stack: AsyncExitStack, count: int) -> list[int]:
    """Start `count` writes that do not end before `stack` does."""
    return [await stack.enter_async_context(limit) for _ in range(count)]


async def test_no_more_than_the_limit_at_once() -> None:
    """The next one waits until another ends."""
    limit = WriteLimit()
    async with AsyncExitStack() as stack:
        await enter_many(limit, stack, START)
        waiting = asyncio.create_task(limit.__aenter__())
        _, pending = await asyncio.wait([waiting], timeout=0.05)
        assert pending
    await asyncio.wait_for(waiting, 1)
    await limit.__aexit__()


async def test_who_comes_later_waits_longer() -> None:
    """Though there is room for a moment before whoever waits has woken up."""
    limit, order = WriteLimit(), list[str]()

    async def write(name: str) -> None:
        async with limit:
            order.append(name)

    for _ in range(START):
        await limit.__aenter__()
    early = asyncio.create_task(write("early"))
    await asyncio.sleep(0)
    await limit.__aexit__()
    await write("late")
    await early
    assert order == ["early", "late"]


async def test_a_window_of_successes_adds_one() -> None:
    """Slowly up, to a bound."""
    limit = WriteLimit()
    for _ in range(START):
        limit.succeeded()
    assert limit.limit == START + 1
    for _ in range(MOST * MOST):
        limit.succeeded()
    assert limit.limit == MOST


async def test_requests_in_flight_together_halve_once() -> None:
    """Sixteen refusals of one burst are one sign; those of the next burst are another."""
    limit = WriteLimit()
    for expected in (START // 2, START // 4):
        async with AsyncExitStack() as stack:
            for window in await enter_many(limit, stack, limit.limit):
                limit.overloaded(window)
        assert limit.limit == expected


async def test_one_write_is_always_possible() -> None:
    """An overloaded server is still asked."""
    limit = WriteLimit()
    for _ in range(10):
        async with limit as window:
            limit.overloaded(window)
    assert limit.limit == LEAST


async def test_waiters_go_on_when_there_is_room_and_only_then() -> None:
    """A hundred writes through a limit that shrinks while they wait."""
    limit = WriteLimit()
    running = most = 0

    async def write() -> None:
        nonlocal running, most
        async with limit as window:
            running += 1
            most = max(most, running)
            await asyncio.sleep(0)
            running -= 1
            limit.overloaded(window)

    async with asyncio.timeout(5):
        await asyncio.gather(*(write() for _ in range(100)))
    assert most == START
