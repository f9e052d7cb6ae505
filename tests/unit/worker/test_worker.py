"""The contract from inside a training process, against a server that speaks it over TLS."""

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from support.listening_operator import ListeningOperator, listening_operator
from support.training_program import TrainingProgram, training_program
from support.wait import until
from trainpush.kube import certificates

URI = "pvc://claim/step-1"


async def test_progress_is_told(operator: ListeningOperator, program: TrainingProgram) -> None:
    """A figure that JSON does not know, or no float holds, goes as text."""
    told = {"loss": 0.5, "epoch": 2, "note": "warm", "gradient": float("nan"), "huge": 10**400}
    await program.call("report", 7, 100, told)
    await until(lambda: bool(operator.reports), "a report")
    metrics = {"loss": 0.5, "epoch": 2, "note": "warm", "gradient": "nan", "huge": str(10**400)[:256]}
    assert operator.reports[0] == {"step": 7, "totalSteps": 100, "metrics": metrics}
    assert await program.call("should_checkpoint") is None


async def test_only_the_latest_progress_counts(operator: ListeningOperator, program: TrainingProgram) -> None:
    for step in range(500):
        await program.call("report", step)
    await until(lambda: bool(operator.reports) and operator.reports[-1]["step"] == 499, "the last step")
    assert len(operator.reports) < 250


async def test_a_request_is_heard_and_answered(operator: ListeningOperator, program: TrainingProgram) -> None:
    """Then no further step is taken."""
    operator.asks("3-now", 30)
    await program.call("report", 1)
    request = await program.until_asked()
    assert (request["id"], request["reason"]) == ("3-now", "Preempted")
    assert 20 < request["deadline"] - time.time() <= 30
    operator.answer = {**operator.answer, "stop": True}
    assert await program.call("saved", 1, URI, "sha256:b") is True
    assert operator.saves == [{"step": 1, "uri": URI, "digest": "sha256:b", "request": "3-now"}]


async def test_an_answer_waits_until_the_checkpoint_is_recorded(
    operator: ListeningOperator, program: TrainingProgram
) -> None:
    operator.asks("3-now", 30)
    await program.call("report", 1)
    await program.until_asked()
    operator.recorded.clear()
    saving = asyncio.create_task(program.call("saved", 1, URI))
    await until(lambda: bool(operator.saves), "the checkpoint")
    assert not saving.done()
    operator.answer = {"request": None, "stop": False}
    operator.recorded.set()
    assert await saving is False, "the request was taken back: training goes on"


async def test_a_request_is_told_until_it_is_answered_and_not_again(
    operator: ListeningOperator, program: TrainingProgram
) -> None:
    operator.asks("3-now", 30)
    await program.call("report", 1)
    assert await program.until_asked() == await program.until_asked()
    await program.call("saved", 1, URI)
    assert await program.call("should_checkpoint") is None
    operator.asks("3-later", 30)
    assert (await program.until_asked())["id"] == "3-later"


async def test_an_operator_that_does_not_acknowledge_holds_nobody_up_beyond_the_deadline(
    operator: ListeningOperator, program: TrainingProgram
) -> None:
    operator.asks("3-now", 1)
    await program.call("report", 1)
    await program.until_asked()
    operator.recorded.clear()
    assert await program.call("saved", 1, URI) is False
    await until(lambda: bool(operator.saves), "the checkpoint")
    operator.recorded.set()


async def test_a_regular_checkpoint_waits_for_nobody(operator: ListeningOperator, program: TrainingProgram) -> None:
    """It is told beside the training, and again until it was taken."""
    operator.refusal = 503
    assert await program.call("saved", 5, URI) is False
    await until(lambda: operator.refused > 1, "two refusals")
    operator.refusal = 0
    await until(lambda: bool(operator.saves), "the checkpoint")
    assert operator.saves[0] == {"step": 5, "uri": URI, "digest": "", "request": ""}


async def test_what_is_refused_for_good_is_not_repeated(operator: ListeningOperator, program: TrainingProgram) -> None:
    """And nobody waits for it."""
    operator.asks("3-now", 30)
    await program.call("report", 1)
    await program.until_asked()
    operator.refusal = 400
    assert await program.call("saved", 1, URI) is False
    operator.refusal = 0
    await until(lambda: len(operator.reports) > 3, "more reports")
    assert operator.saves == []


async def test_an_attempt_that_is_over_is_told_to_stop(operator: ListeningOperator, program: TrainingProgram) -> None:
    """What it still saves answers no request."""
    operator.answer = {"request": None, "stop": True}
    await program.call("report", 1)
    assert (await program.until_asked())["id"] == "superseded"
    assert await program.call("saved", 1, URI) is True
    await until(lambda: bool(operator.saves), "the checkpoint")
    assert operator.saves[0]["request"] == ""


@pytest.mark.parametrize("rank", [{"RANK": "1"}, {"PET_NODE_RANK": "1"}, {"RANK": "4", "PET_NODE_RANK": "0"}], ids=str)
async def test_nobody_but_rank_0_speaks(operator: ListeningOperator, tmp_path: Path, rank: dict[str, str]) -> None:
    """Nor leaves a termination message."""
    variables = {name: value for name, value in operator.variables(tmp_path).items() if name != "RANK"}
    async with training_program(tmp_path, {**variables, **rank}) as other:
        await other.call("report", 1)
        assert await other.call("saved", 1, URI) is False
        assert await other.end() == (0, "")
        assert other.message is None
    assert operator.reports == operator.saves == []


@pytest.mark.parametrize(
    "change",
    [
        {"TRAINPUSH_ENDPOINT": ""},
        {"TRAINPUSH_ENDPOINT": "http://localhost:1"},
        {"TRAINPUSH_ENDPOINT": "https://:x"},
        {"TRAINPUSH_ENDPOINT": "https://localhost:1"},
        {"TRAINPUSH_ENDPOINT_CA": "no PEM"},
        {"TRAINPUSH_TOKEN_FILE": "/nowhere"},
    ],
    ids=str,
)
async def test_without_an_operator_training_goes_on(
    operator: ListeningOperator, tmp_path: Path, change: dict[str, str]
) -> None:
    """There is none, or it cannot be reached."""
    async with training_program(tmp_path, {**operator.variables(tmp_path), **change}) as program:
        await program.call("report", 1)
        assert await program.call("should_checkpoint") is None
        assert await program.call("saved", 1, URI) is False
        assert (await program.end())[0] == 0
        assert program.message == {"step": 1, "metrics": {}, "checkpoint": {"step": 1, "uri": URI, "digest": ""}}
    assert operator.reports == []


async def test_a_server_with_another_authority_is_told_nothing(operator: ListeningOperator, tmp_path: Path) -> None:
    """One line says why."""
    other = certificates.new_authority(operator.authority.certificate.not_valid_before_utc)
    variables = {**operator.variables(tmp_path), "TRAINPUSH_ENDPOINT_CA": other.pem}
    async with training_program(tmp_path, variables) as program:
        await program.call("report", 1)
        assert program.process.stderr
        said = await asyncio.wait_for(program.process.stderr.readline(), 20)
        assert b"certificate verify failed" in said
        assert await program.call("should_checkpoint") is None
        assert await program.end() == (0, "")
    assert operator.reports == []


@pytest.mark.parametrize(
    "answer",
    [[], {}, {"request": None}, {"request": 7, "stop": False}, {"request": {"id": "x"}, "stop": False}],
    ids=str,
)
async def test_an_answer_that_makes_no_sense_is_none(
    operator: ListeningOperator, program: TrainingProgram, answer: Any
) -> None:
    """The next one counts."""
    operator.answer = answer
    await program.call("report", 1)
    await until(lambda: len(operator.reports) > 1, "another report")
    operator.asks("3-now", 30)
    assert (await program.until_asked())["id"] == "3-now"


async def test_an_operator_that_dies_and_comes_back(tmp_path: Path) -> None:
    """What was saved meanwhile is told then, and an answer nobody took keeps nobody beyond its deadline."""
    async with listening_operator() as first:
        variables = first.variables(tmp_path)
        async with training_program(tmp_path, variables) as program:
            first.asks("3-now", 1)
            await program.call("report", 1)
            await program.until_asked()
            assert first.stop
            await first.stop()
            assert await program.call("saved", 2, URI) is False
            async with listening_operator(first.port, first.authority) as second:
                await until(lambda: bool(second.saves), "the checkpoint")
                assert second.saves[0]["request"] == "3-now"
                second.asks("3-later", 30)
                assert (await program.until_asked())["id"] == "3-later"


async def test_where_an_attempt_begins(tmp_path: Path) -> None:
    async with training_program(tmp_path, {"TRAINPUSH_ATTEMPT": "4"}) as program:
        assert await program.call("resume_info") == {"attempt": 4, "checkpoint": None}
    resume = {"TRAINPUSH_RESUME_STEP": "120", "TRAINPUSH_RESUME_URI": URI, "TRAINPUSH_RESUME_DIGEST": "d"}
    async with training_program(tmp_path, resume) as program:
        checkpoint = {"step": 120, "uri": URI, "digest": "d"}
        assert await program.call("resume_info") == {"attempt": 1, "checkpoint": checkpoint}
