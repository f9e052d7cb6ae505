"""An answer as text for people, or as one object for programs."""

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC
from itertools import zip_longest
from typing import Any, Final

import msgspec
import yaml

from trainpush.cli.document import shown
from trainpush.cli.outlook import Change, Outlook, What
from trainpush.cli.simulation import Answer
from trainpush.kube.resources import GPUPOOLS, INFERENCESERVICES
from trainpush.model.actions import JobAction, ServiceAction
from trainpush.model.nodes import HOST, POOL
from trainpush.model.plan import PlannedSwitch, Stage
from trainpush.model.wording import count, work

_NUMBERED: Final = re.compile(r"(.*?)([0-9]+)([^0-9]*)")
_WIDTH: Final = 100
"""Of sentences, in characters."""
_HEADS: Final = ("KIND", "NAME", "STAGE", "REASON", "QUEUE", "WHERE")


def as_table(answer: Answer) -> str:
    """What a person wants to know first."""
    return _page(answer, _facts, _row)


def as_wide_table(answer: Answer) -> str:
    """The same with every node in rank order, and all messages and actions."""
    return _page(answer, _all_facts, _wide_row)


def as_json(answer: Answer) -> str:
    """One object, for programs."""
    return msgspec.json.format(msgspec.json.encode(_plain(answer)), indent=2).decode() + "\n"


def as_yaml(answer: Answer) -> str:
    """The same object in YAML."""
    return yaml.safe_dump(_plain(answer), sort_keys=False, allow_unicode=True, width=120)


FORMS: Final[dict[str, Callable[[Answer], str]]] = {
    "table": as_table,
    "wide": as_wide_table,
    "json": as_json,
    "yaml": as_yaml,
}
"""By the word that users write."""


def ranges(names: Iterable[str]) -> str:
    """Names in short: `gpu-[1-3,7].example`, by the last number before the first dot."""
    numbers: dict[tuple[str, str], list[str]] = {}
    others: list[str] = []
    for name in sorted(set(names)):
        host, dot, rest = name.partition(".")
        parts = _NUMBERED.fullmatch(host)
        if parts:
            numbers.setdefault((parts[1], parts[3] + dot + rest), []).append(parts[2])
        else:
            others.append(name)
    made = [f"{prefix}{_runs(found)}{suffix}" for (prefix, suffix), found in numbers.items()]
    return ", ".join(sorted([*made, *others]))


def _runs(found: Sequence[str]) -> str:
    runs: list[list[str]] = []
    for number in sorted(found, key=lambda digits: (int(digits), digits)):
        if runs and str(int(runs[-1][-1]) + 1).zfill(len(runs[-1][-1])) == number:
            runs[-1].append(number)
        else:
            runs.append([number])
    texts = [run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    return texts[0] if len(found) == 1 else f"[{','.join(texts)}]"


Facts = Callable[[Outlook], Iterator[tuple[str, str]]]


def _page(answer: Answer, facts: Facts, row: Callable[[Outlook], Sequence[str]]) -> str:
    lines = [f"At {answer.at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC, {answer.source}"]
    if answer.given:
        for outlook in answer.asked_about:
            lines += ["", f"{shown(outlook.identity)} {_headline(outlook)}", *_block(facts(outlook))]
        lines += ["", "Nobody else would notice." if not answer.changes else "Others would notice:"]
        for change in answer.changes:
            name = shown(change.after.identity)
            lines += ["", f"{name} {_news(change)}:", *_block(_difference(change))]
    else:
        heads = _HEADS if row is _row else (*_HEADS, "MESSAGE")
        lines += ["", *_aligned([heads, *(row(outlook) for outlook in answer.asked_about)])]
        for outlook in filter(lambda outlook: outlook.switches, answer.asked_about):
            head = f"{shown(outlook.identity)} would change the mode of {_these_nodes(outlook)}:"
            lines += ["", head, *_block(_switches(outlook))]
    return "\n".join(lines) + "\n"


def _headline(outlook: Outlook) -> str:
    if outlook.identity[0] == GPUPOOLS.kind:
        return f"would have {outlook.verdict.message}"
    if outlook.is_settled:
        return "would be placed:" if outlook.nodes else f"is {outlook.stage}:"
    return f"would {'be refused' if outlook.stage == Stage.REFUSED else 'wait'}: {outlook.verdict.reason}"


def _block(facts: Iterable[tuple[str, str]]) -> list[str]:
    lines = []
    for head, text in facts:
        wrapped = textwrap.wrap(text, _WIDTH, break_long_words=False, break_on_hyphens=False)
        lines += [f"  {word:<8} {line}" for word, line in zip_longest([head], wrapped, fillvalue="") if line]
    return lines


def _facts(outlook: Outlook) -> Iterator[tuple[str, str]]:
    verdict = outlook.verdict
    yield "where", _where(outlook)
    if not (outlook.is_settled and outlook.nodes) and outlook.identity[0] != GPUPOOLS.kind:
        yield "why", verdict.message
    yield "queue", _queue(outlook)
    yield "holders", ", ".join(f"{holder.name} ({holder.accelerators})" for holder in verdict.holders)
    yield "advice", verdict.advice
    yield "cost", _cost(outlook)
    yield "modes", outlook.modes
    yield from _switches(outlook)


def _all_facts(outlook: Outlook) -> Iterator[tuple[str, str]]:
    yield from _facts(outlook)
    yield "stage", outlook.stage
    if outlook.is_settled and outlook.nodes:
        yield "says", f"{outlook.verdict.reason}: {outlook.verdict.message}"
    yield "nodes", ", ".join(outlook.nodes)
    yield from (("then", _act(action)) for action in outlook.actions)


def _switches(outlook: Outlook) -> Iterator[tuple[str, str]]:
    """Each node of a pool that changes its mode: how far it is, why, and who has to go."""
    for switch in outlook.switches:
        cost = f"; must go: {', '.join(switch.victims)} ({work(switch.lost)} of work)"
        said = f"{switch.node}, {switch.old} to {switch.new} ({switch.step}): {switch.why}"
        yield "node", said + (cost if switch.victims else "")


def _where(outlook: Outlook) -> str:
    if not outlook.nodes:
        return ""
    pods = count(len(outlook.nodes), "replica" if outlook.identity[0] == INFERENCESERVICES.kind else "worker")
    domain = {POOL: "", HOST: "", "": ""}.get(outlook.level, f"{outlook.level} {outlook.domain} of ")
    within = f", {domain}pool {outlook.pool}" if outlook.pool else ""
    return f"{ranges(outlook.nodes)} ({pods}{within})"


def _cost(outlook: Outlook) -> str:
    eviction = outlook.eviction
    return f"{work(eviction.lost)} of work; {eviction.message}" if eviction else ""


def _news(change: Change) -> str:
    """What would become different, in some words."""
    old, new = change.before.verdict, change.after.verdict
    by = change.after.eviction.by if change.after.eviction else "others"
    left = count(change.after.eviction.workers if change.after.eviction else len(change.after.nodes), "worker")
    is_same = old.reason == new.reason
    return {
        What.EVICTED: f"would be evicted for {by}",
        What.SHRUNK: f"would be shrunk to {left} for {by}",
        What.SWITCHED: f"would change the mode of {_these_nodes(change.after)}",
        What.UNPLACED: "would wait instead of getting a place",
        What.DELAYED: "would wait further back" if is_same else "would wait for something else",
        What.MOVED: "would get another place",
        What.RESTORED: "would keep what it would lose",
        What.PLACED: "would get a place instead of waiting",
        What.ADVANCED: "would wait further ahead",
    }[change.what]


def _these_nodes(outlook: Outlook) -> str:
    return {0: "no node", 1: "this node"}.get(len(outlook.switches), "these nodes")


def _difference(change: Change) -> Iterator[tuple[str, str]]:
    old, new = change.before, change.after
    yield "cost", _cost(new)
    yield from _switches(new)
    if old.nodes != new.nodes:
        yield "where", _where(new)
        yield "not", _where(old)
    if not new.is_settled and new.identity[0] != GPUPOOLS.kind:
        yield "why", f"{new.verdict.reason}: {new.verdict.message}"
        earlier = old.verdict.position
        yield "queue", f"{_queue(new)} instead of {earlier}" if earlier and new.verdict.position else _queue(new)


def _queue(outlook: Outlook) -> str:
    position = outlook.verdict.position
    return f"number {position} in pool {outlook.pool}" if position else ""


def _row(outlook: Outlook) -> Sequence[str]:
    kind, namespace, name = outlook.identity
    queue = str(outlook.verdict.position or "")
    full = f"{namespace}/{name}" if namespace else name
    where = _of_pool(outlook) if kind == GPUPOOLS.kind else _where(outlook)
    return kind, full, outlook.stage, outlook.verdict.reason, queue, where


def _of_pool(outlook: Outlook) -> str:
    return "; ".join(filter(None, (outlook.verdict.message, outlook.modes)))


def _wide_row(outlook: Outlook) -> Sequence[str]:
    actions = "".join(f"; then {_act(action)}" for action in outlook.actions)
    return (*_row(outlook), f"{outlook.verdict.message}{actions}")


def _act(action: JobAction | ServiceAction) -> str:
    found = msgspec.to_builtins(action)
    return " ".join([type(action).__name__, *(f"{name}={value}" for name, value in found.items())])


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows in columns; a column that is empty all the way down is left out."""
    columns = [column for column in zip(*rows, strict=True) if any(column[1:] if len(rows) > 1 else column)]
    widths = [max(map(len, column)) for column in columns]
    return [
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in zip(*columns, strict=True)
    ]


def _plain(answer: Answer) -> dict[str, Any]:
    return {
        "at": answer.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "source": answer.source,
        "settled": answer.is_settled,
        "decisions": [_plain_outlook(outlook) for outlook in answer.asked_about],
        "changes": [
            {"what": str(c.what), "before": _plain_outlook(c.before), "after": _plain_outlook(c.after)}
            for c in answer.changes
        ],
    }


def _plain_outlook(outlook: Outlook) -> dict[str, Any]:
    kind, namespace, name = outlook.identity
    verdict = outlook.verdict
    found = {
        "kind": kind,
        "namespace": namespace,
        "name": name,
        "settled": outlook.is_settled,
        "stage": str(outlook.stage),
        "reason": str(verdict.reason),
        "message": verdict.message,
        "pool": outlook.pool,
        "level": outlook.level,
        "domain": outlook.domain,
        "nodes": list(outlook.nodes),
        "needed": verdict.needed,
        "free": verdict.free,
        "largestFree": verdict.largest_free,
        "holders": msgspec.to_builtins(verdict.holders),
        "position": verdict.position,
        "advice": verdict.advice,
        "eviction": msgspec.to_builtins(outlook.eviction),
        "modes": outlook.modes,
        "switches": [_plain_switch(switch) for switch in outlook.switches],
        "actions": [{"action": type(action).__name__, **msgspec.to_builtins(action)} for action in outlook.actions],
    }
    return {key: value for key, value in found.items() if value is False or value not in ("", 0, None, [], ())}


def _plain_switch(switch: PlannedSwitch) -> dict[str, Any]:
    """As in `status.plan` of the pool, but exact."""
    return {
        "node": switch.node,
        "from": str(switch.old),
        "to": str(switch.new),
        "step": str(switch.step),
        "why": switch.why,
        "victims": list(switch.victims),
        "lostAcceleratorSeconds": switch.lost,
    }
