"""The condition Evicted: what others take from a gang, from the announcement until all of its workers run again."""

from collections.abc import Mapping
from typing import Any

from trainpush.api.conditions import Condition
from trainpush.model.plan import Decision
from trainpush.model.reasons import Reason
from trainpush.model.workload import Eviction
from trainpush.render.conditions import Statement, counted, timestamp


def evicted(decision: Decision, old: Mapping[str, Any]) -> Statement:
    """What Evicted says after `old`: true once something was taken, and until all workers run again or the job ends.

    What took it stays as reason and message, whatever else happens to the gang meanwhile.
    """
    record = decision.record
    if record.eviction and not record.eviction.is_done:
        return _coming(record.eviction)
    if record.last and record.preemptions > old.get("restarts", {}).get("preemptions", 0):
        return (Condition.EVICTED, True, record.last.reason, record.last.message)
    before = {entry["type"]: entry for entry in old.get("conditions", [])}.get(Condition.EVICTED, {})
    if before.get("status") == "True" and not (record.has_run or record.outcome):
        return (Condition.EVICTED, True, before["reason"], before["message"])
    times = record.preemptions
    made_room = f"; it made room for others {counted(times, 'time')}" if times else ""
    return (Condition.EVICTED, False, Reason.NOT_EVICTED, f"nothing is taken from the gang{made_room}")


def _coming(eviction: Eviction) -> Statement:
    if eviction.deadline is None or eviction.is_answered:
        return (Condition.EVICTED, False, Reason.ANNOUNCED, f"in the next cycle: {eviction.message}")
    if eviction.asked_at is None:
        said = f"the program was asked until {timestamp(eviction.deadline)} and did not answer: {eviction.message}"
        return (Condition.EVICTED, False, Reason.NOT_EVICTED, said)
    until = f"when the program has saved, at {timestamp(eviction.deadline)} at the latest"
    return (Condition.EVICTED, False, Reason.REQUESTED, f"{until}: {eviction.message}")
