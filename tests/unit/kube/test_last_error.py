"""The line of a log that says why a program ended: what Triton, Python and torchrun write, as they write it."""

import json

import pytest

from trainpush.kube.decode import Terminated
from trainpush.kube.last_error import LOG_MAX, SAID_MAX, how, last_error

NO_DRIVER = """\
W1201 12:00:00.1 1 pinned_memory_manager.cc:273] "Unable to allocate pinned system memory"
E1201 12:00:00.2 1 server.cc:248] "CudaDriverHelper has not been initialized."
"""
"""What Triton logs on every start without a driver, also when all is well afterwards."""
END = "error: creating server: Internal - failed to load all models\n"
RAISED = "failed to load 'raises' version 1: Internal: RuntimeError: weights are for 3 layers, not 2"
AT = "\n\nAt:\n  /trainpush/repository/raises/1/model.py(6): initialize\n"
RAISED_AT = f"{RAISED} At: /trainpush/repository/raises/1/model.py(6): initialize"
UNHEALTHY = "failed to load 'm' version 1: Internal: Stub process 'm_0_0' is not healthy."
NO_BACKEND = "failed to load 'm' version 1: Invalid argument: unable to find backend library for backend 'tensorflow'"
NO_CONFIG = "Poll failed for model directory 'm': failed to read text proto from /trainpush/repository/m/config.pbtxt"
NO_PORT = "failed to start HTTP service: Unavailable - Socket '0.0.0.0:8000' already in use"


def plain(text: str, place: str = "model_lifecycle.cc:621") -> str:
    """An error as Triton logged it before 24.05, and as torchrun does."""
    return f"E1201 12:00:01.2 1 {place}] {text}\n"


def quoted(text: str, place: str = "model_lifecycle.cc:654") -> str:
    """An error as Triton logs it since: in one line."""
    escaped = text.replace('"', r"\"").replace("\n", r"\n")
    return plain(f'"{escaped}"', place)


def traceback(error: str, prefix: str = "") -> str:
    """What Python writes when nobody catches `error`."""
    text = f'Traceback (most recent call last):\n  File "m.py", line 4, in initialize\n    raise it\n{error}'
    return "".join(f"{prefix}{line}\n" for line in text.splitlines())


CHILD_FAILED = traceback("torch.distributed.elastic.multiprocessing.errors.ChildFailedError: ") + "train.py FAILED\n"
AGENT = plain("failed (exitcode: 3) local_rank: 0", "torch/distributed/elastic/multiprocessing/api.py:869")

LEAK = "/usr/lib/python3.12/multiprocessing/resource_tracker.py:254: UserWarning: 1 semaphore\n  warnings.warn(it)\n"
"""What Python may write after all else."""
LAUNCHED = traceback("subprocess.CalledProcessError: Command '['python', 'train.py']' returned non-zero exit status 1.")
VLLM = "ERROR 12-01 12:00:01 [core.py:700] "
ENGINE_FAILED = "RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {}"
ENGINE = traceback(ENGINE_FAILED)
OUT_OF_MEMORY = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 896.00 MiB."
NO_SPACE = "OSError: [Errno 28] No space left on device"


def by_iso_time(entry: str) -> str:
    """The same entry with --log-format=ISO8601."""
    level, rest = entry[0], entry.partition(" ")[2].partition(" ")[2]
    return f"2026-12-01T12:00:01Z {level} {rest}"


def coloured(text: str) -> str:
    """As Python and loggers write it where they think of a terminal."""
    return "".join(f"\x1b[1;31m{line}\x1b[0m\n" for line in text.splitlines())


def in_json(level: str, message: str, **more: object) -> str:
    """An entry of a logger that writes JSON."""
    return json.dumps({"time": "2026-12-01T12:00:00Z", "level": level, "message": message, **more}) + "\n"


LOGS: dict[str, tuple[str, str]] = {
    "a model raises": (NO_DRIVER + quoted(f"ERROR: {AT}", "backend.cc:69") + quoted(RAISED + AT) + END, RAISED_AT),
    "a model raises, before 24.05": (NO_DRIVER.replace('"', "") + plain(RAISED + AT) + END, RAISED_AT),
    "another library complains afterwards": (
        f"{NO_DRIVER}{quoted(RAISED + AT)}Error: Failed to initialize NVML\n{END}",
        RAISED_AT,
    ),
    "a backend is missing": (NO_DRIVER + quoted(NO_BACKEND) + END, NO_BACKEND),
    "config.pbtxt cannot be read": (NO_DRIVER + quoted(NO_CONFIG, "model_repository_manager.cc:1460") + END, NO_CONFIG),
    "a model's process ends with an error": (
        traceback("OSError: no file") + quoted(UNHEALTHY) + END,
        "OSError: no file",
    ),
    "a model's process ends without a word": (NO_DRIVER + quoted(UNHEALTHY) + END, UNHEALTHY),
    "a model caught something before": (traceback("OSError: no cache") + quoted(RAISED) + END, RAISED),
    "several models fail": (quoted(NO_BACKEND) + quoted(RAISED) + END, RAISED),
    "something is logged afterwards": (plain(RAISED + AT) + 'I1201 12:00:01.3 1 server.cc:305] "Waiting"\n', RAISED_AT),
    "the server itself fails": (NO_DRIVER + quoted(NO_PORT, "main.cc:310"), NO_PORT),
    "it is killed while it loads": (NO_DRIVER, ""),
    "an option is unknown": ("tritonserver: unrecognized option '--x'\n", "tritonserver: unrecognized option '--x'"),
    "a library aborts": (
        f"{NO_DRIVER}terminate called\n  what():  std::bad_alloc\n",
        "terminate called what(): std::bad_alloc",
    ),
    "a rank raised under torchrun": (
        traceback("RuntimeError: Error(s) in loading:\n\tMissing key.", "[rank0]: ") + AGENT + CHILD_FAILED,
        "RuntimeError: Error(s) in loading: Missing key.",
    ),
    "a rank said nothing under torchrun": (AGENT + CHILD_FAILED, "failed (exitcode: 3) local_rank: 0"),
    "one error follows from another": (
        f"{traceback('OSError: first')}\nDuring handling of the above exception:\n\n{traceback('ValueError: last')}",
        "ValueError: last",
    ),
    "a model raises, by the time of ISO 8601": (
        by_iso_time(quoted(RAISED)) + by_iso_time(quoted(NO_PORT)) + END,
        RAISED,
    ),
    "something is said after the traceback": (traceback(NO_SPACE) + LEAK, NO_SPACE),
    "a traceback in colours": (coloured(traceback(NO_SPACE)), NO_SPACE),
    "a bar of progress before the traceback": ("\r  0%|  | 0/9\r 11%|# | 1/9\n" + traceback(NO_SPACE), NO_SPACE),
    "a process of a launcher raised": (traceback(NO_SPACE) + LAUNCHED, NO_SPACE),
    "one that torchrun tells of by its name": (traceback(NO_SPACE, "[default0]:[rank0]: ") + AGENT, NO_SPACE),
    "one of Ray": (traceback(NO_SPACE, "(RayTrainWorker pid=7, ip=10.0.0.7) "), NO_SPACE),
    "the engine of vLLM": (traceback(OUT_OF_MEMORY, VLLM) + ENGINE, OUT_OF_MEMORY),
    "the engine of vLLM as a process": (
        traceback(OUT_OF_MEMORY, f"(EngineCore_0 pid=271) {VLLM}") + traceback(ENGINE_FAILED, "(APIServer pid=1) "),
        OUT_OF_MEMORY,
    ),
    "nothing but what a server says of its engine": (ENGINE, " ".join(ENGINE.split())),
    "a logger's error, and much after it": (
        "2026-12-01 12:00:00,123 - trainer - ERROR - no such dataset\n" + "2026-12-01 12:00:01 INFO bye\n" * 9,
        "no such dataset",
    ),
    "an error of the root logger": ("ERROR:root:no such dataset\n" + "INFO:root:bye\n" * 20, "root:no such dataset"),
    "an error in JSON": (
        in_json("error", "no such dataset", error="404") + in_json("info", "bye"),
        "no such dataset: 404",
    ),
    "a traceback in JSON": (in_json("error", "failed", exc_info=traceback(NO_SPACE)) + in_json("info", "x"), NO_SPACE),
    "JSON that is cut": ('{"level": "error", "message": "no such', '{"level": "error", "message": "no such'),
    "what a terminal would obey": ("\x1b]0;pwned\x07\x1b[2Jno \x9b31mluck\x00\n", "no 31mluck"),
    "a program says it in its own words": ("epoch 3\nno weights found\n", "epoch 3 no weights found"),
    "a program says much": (f"{'x' * 150} {'y' * 150} no weights found\n", f"{'y' * 150} no weights found"),
    "a program says one long word": ("x" * 300, "x" * 200),
    "a program says nothing": ("", ""),
}


@pytest.mark.parametrize("case", LOGS)
def test_the_error_that_ended_it(case: str) -> None:
    """Not the first line that looks like one."""
    log, said = LOGS[case]
    assert last_error(log) == said


def test_a_long_end_begins_with_a_word() -> None:
    words = " ".join(f"word{number}" for number in range(100))
    assert last_error(words).split()[0] in words.split()
    assert last_error("x" * 300) == "x" * 200


def test_no_more_is_told_than_can_be_read() -> None:
    assert len(last_error(traceback(f"ValueError: {'x' * 3000}"))) == SAID_MAX


def test_how_it_ended_is_told_with_what_is_known_of_it() -> None:
    assert how(Terminated(137, "OOMKilled", "epoch 3\n")) == "exit code 137 (OOMKilled): epoch 3"
    assert how(Terminated(3)) == "exit code 3"


def test_a_log_that_begins_in_the_middle_still_has_its_end() -> None:
    """A kubelet keeps the end of a log: the beginning of a long entry may be missing."""
    assert last_error(f"many words at the end of a long error{AT}{END}").startswith("many words at the end")


def test_only_the_end_of_a_log_is_looked_at() -> None:
    """Whoever may write the status of pods may leave any text there."""
    frame = '  File "a"\n'
    assert last_error(frame * 1_000_000) == last_error(frame * LOG_MAX)
