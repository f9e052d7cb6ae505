"""The checkpoint contract of trainpush for the Trainer of Hugging Face: one callback, for any model.

callback = TrainpushCallback()
trainer = Trainer(..., callbacks=[callback])
trainer.train(resume_from_checkpoint=newest_checkpoint(root))
callback.leave()
"""

import os
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from trainpush import worker

STOPPED = 143


class TrainpushCallback(TrainerCallback):
    """Reports each step, saves when asked to, and ends the training after the save that was the last."""

    def __init__(self) -> None:
        self._metrics: dict[str, float] = {}
        self._must_stop = False
        self._device = torch.device("cpu")
        worker.catch_sigterm()

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, logs: Any = None,
               **_: Any) -> None:  # fmt: skip
        """Keep the figures for the next report."""
        self._metrics |= {name: value for name, value in (logs or {}).items() if isinstance(value, (int, float))}

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Report the step, and let the Trainer save if somebody needs the room."""
        self._device = args.device
        worker.report(state.global_step, state.max_steps, self._metrics)
        if any_rank(worker.should_checkpoint() is not None, args.device):
            control.should_save = True

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Tell of the checkpoint, and take no further step if it was the last."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        if any_rank(worker.saved(state.global_step, str(folder)), args.device):
            self._must_stop = control.should_training_stop = True

    def leave(self) -> None:
        """End the program if the training was ended early: by SIGTERM, which follows soon if it has not come yet."""
        if self._must_stop:
            request = worker.should_checkpoint()
            if not any_rank(request is not None and request.id == worker.SIGTERM, self._device):
                worker.await_end()
            sys.exit(STOPPED)


def any_rank(holds: bool, device: torch.device) -> bool:
    """Return on every rank whether something holds on one of them; every rank must call it."""
    if not dist.is_initialized():
        return holds
    found = torch.tensor(holds, dtype=torch.int32, device=device)
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return bool(found)


def own_folder(root: Path) -> Path:
    """Return the folder of this attempt, which no other can overwrite: the `output_dir` of its TrainingArguments."""
    return root / f"attempt-{worker.resume_info().attempt}"


def newest_checkpoint(root: Path) -> str | None:
    """Return the newest complete checkpoint of any attempt under `root`, or None.

    The Trainer writes its state last, so a folder without it was never finished. What the operator knows of is a lower
    bound: the volume may hold a newer one.
    """
    found = [path.parent for path in root.glob("attempt-*/checkpoint-*/trainer_state.json")]
    newest = max(found, key=lambda folder: (_number(folder), _number(folder.parent)), default=None)
    return os.fspath(newest) if newest else None


def _number(folder: Path) -> int:
    return int(folder.name.rpartition("-")[2])
