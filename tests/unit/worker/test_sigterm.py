"""SIGTERM as a request for a checkpoint, and the message that a program leaves when it ends."""

import signal
import time
from pathlib import Path

from support.listening_operator import ListeningOperator
from support.training_program import TrainingProgram, training_program
from support.wait import until

URI = "pvc://claim/step-9"
SAVED = {"step": 9, "uri": URI, "digest": "d"}


async def test_it_is_a_request_whose_answer_ends_the_training(
    operator: ListeningOperator, program: TrainingProgram
) -> None:
    """With and without an operator; what is saved is told to it all the same."""
    await program.call("catch_sigterm")
    await program.call("report", 9, 20, {"loss": 0.1})
    program.terminate()
    request = await program.until_asked()
    assert request["id"] == "sigterm"
    assert request["deadline"] - time.time() > 20
    assert await program.call("saved", 9, URI, "d") is True
    assert operator.saves == [{**SAVED, "request": ""}]


async def test_the_grace_period_is_the_deadline(tmp_path: Path) -> None:
    async with training_program(tmp_path, {"TRAINPUSH_GRACE_SECONDS": "300"}) as program:
        await program.call("catch_sigterm")
        program.terminate()
        assert (await program.until_asked())["deadline"] - time.time() > 290
        assert await program.call("saved", 9, URI) is True


async def test_an_operator_that_is_silent_does_not_use_up_the_grace_period(
    operator: ListeningOperator, program: TrainingProgram
) -> None:
    """Not even when it asked itself, with a later deadline."""
    operator.asks("3-now", 300)
    await program.call("catch_sigterm")
    await program.call("report", 9)
    await program.until_asked()
    program.terminate()
    operator.recorded.clear()
    assert await program.call("saved", 9, URI) is True
    await until(lambda: bool(operator.saves), "the checkpoint")
    assert operator.saves[0]["request"] == "3-now"
    operator.recorded.set()


async def test_the_message_stands_before_the_program_ends(tmp_path: Path) -> None:
    """SIGKILL may come at any time then."""
    async with training_program(tmp_path, {}) as program:
        await program.call("catch_sigterm")
        await program.call("report", 9, 20, {"loss": 0.1})
        assert program.message is None
        program.terminate()
        await program.until_asked()
        await program.call("saved", 9, URI, "d")
        message = {"step": 9, "totalSteps": 20, "metrics": {"loss": 0.1}, "checkpoint": SAVED}
        assert program.message == message
        program.process.kill()
        await program.process.wait()
        assert program.message == message


async def test_a_program_that_fails_leaves_the_word_to_its_log(tmp_path: Path) -> None:
    """The kubelet takes the end of the log as the message then."""
    async with training_program(tmp_path, {}) as program:
        await program.call("report", 9)
        assert program.process.stdin
        program.process.stdin.write(b'["fail", []]\n')
        code, said = await program.end()
        assert (code, program.message) == (1, None)
        assert "on request" in said


async def test_a_message_that_nobody_would_keep_is_made_shorter(tmp_path: Path) -> None:
    async with training_program(tmp_path, {}) as program:
        await program.call("report", 9, None, {f"metric-{n}": "x" * 256 for n in range(32)})
        await program.end()
        assert program.message == {"step": 9, "metrics": {}}


async def test_whoever_does_not_ask_for_it_dies_as_ever(tmp_path: Path) -> None:
    async with training_program(tmp_path, {}) as program:
        await program.call("report", 9)
        program.terminate()
        assert (await program.end())[0] == -signal.SIGTERM
