"""A training program of its own process, which does with `trainpush.worker` what a test tells it, step by step."""

import asyncio
import json
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from support.operator_process import ROOT

SOURCE: Final = ROOT / "operator" / "trainpush" / "worker.py"
_DRIVER: Final = """
import dataclasses, json, sys
from pathlib import Path
import worker
worker.PERIOD_SECONDS, worker.PAUSE_MAX_SECONDS, worker.AFTER_SIGTERM_SECONDS = 0.02, 0.05, 0.5
worker.TERMINATION_LOG = Path(sys.argv[1])
def plain(value):
    return dataclasses.asdict(value) if dataclasses.is_dataclass(value) else value
for line in sys.stdin:
    name, arguments = json.loads(line)
    if name == "fail":
        raise RuntimeError("on request")
    print(json.dumps(plain(getattr(worker, name)(*arguments))), flush=True)
"""


@dataclass
class TrainingProgram:
    """One process."""

    process: asyncio.subprocess.Process
    termination_log: Path

    async def call(self, function: str, *arguments: Any) -> Any:
        """Call a function of the module there; a dataclass comes back as a dictionary."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps([function, arguments]).encode() + b"\n")
        line = await asyncio.wait_for(self.process.stdout.readline(), 20)
        assert line, (await self.end())[1]
        return json.loads(line)

    async def until_asked(self) -> dict[str, Any]:
        """The request that it hears."""
        async with asyncio.timeout(20):
            while True:
                request: dict[str, Any] | None = await self.call("should_checkpoint")
                if request:
                    return request

    def terminate(self) -> None:
        """As the kubelet does it."""
        self.process.send_signal(signal.SIGTERM)

    async def end(self) -> tuple[int, str]:
        """Let it end by itself; its exit status and what it wrote to standard error."""
        assert self.process.stdin
        self.process.stdin.close()
        _, said = await asyncio.wait_for(self.process.communicate(), 20)
        assert self.process.returncode is not None
        return self.process.returncode, said.decode()

    @property
    def message(self) -> Any:
        """Its termination message; None if it left none."""
        text = self.termination_log.read_text()
        return json.loads(text) if text else None


@asynccontextmanager
async def training_program(folder: Path, variables: Mapping[str, str]) -> AsyncIterator[TrainingProgram]:
    """A program in `folder` that has nothing but the one file, and these variables as its whole environment."""
    shutil.copy(SOURCE, folder)
    log = folder / "termination-log"
    log.touch()
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _DRIVER, log, stdin=pipe, stdout=pipe, stderr=pipe, cwd=folder, env=dict(variables)
    )
    try:
        yield TrainingProgram(process, log)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
