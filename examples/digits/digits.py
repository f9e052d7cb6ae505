"""Train a small classifier on the UCI handwritten digits with torchrun, on CPUs, by FSDP2 or DDP.

It keeps the checkpoint contract that trainpush relies on, by `trainpush.worker`: progress after every step, checkpoints
under a folder per attempt, resumption from the newest complete one, a checkpoint and no further step when the operator
needs the room or after SIGTERM, a nonzero exit then, and a JSON summary as termination message.

Environment, besides what torchrun sets (all optional):
    TRAINPUSH_STRATEGY          FSDP (default) or DDP.
    TRAINPUSH_SHARDING_DEGREE   Ranks that share one copy of the parameters; divides the world size (the default).
    TRAINPUSH_CHECKPOINT_DIR    A volume that all workers share; without it nothing is saved.
    TRAINPUSH_ATTEMPT           Number of this start of the job, from 1.

Beside the checkpoints of an attempt lies losses.csv, with step and loss of each step that it took.

Exit status: 0 trained to the last step, 2 wrong options, 3 failed on request, 143 saved and stopped before.
"""

import argparse
import gc
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, TextIO

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.functional import cross_entropy
from torch.nn.parallel import DistributedDataParallel

from trainpush import worker

TRAINING_IMAGES = 1437  # of 1,797; the other 360 are held out
LOG_EVERY = 20
STOPPED = 128 + signal.SIGTERM
FAILED_ON_REQUEST = 3


@dataclass(frozen=True)
class Digits:
    """Images as float rows of 64 pixels in 0..1, and their digits 0..9, split into training and held-out parts."""

    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor


@dataclass
class Trainer:
    """The model with its optimiser and the number of steps that they have taken."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    step: int = 0


def main() -> None:
    """Train to the last step, or stop at a step boundary when somebody needs the room."""
    worker.catch_sigterm()
    options = parse_options()
    dist.init_process_group("gloo")
    check(options, dist.get_world_size())
    torch.manual_seed(options.seed)
    torch.use_deterministic_algorithms(True)
    model = build_model()
    trainer = Trainer(model, torch.optim.AdamW(model.parameters(), lr=options.learning_rate))
    store = CheckpointStore.from_environment()
    data = load_digits(options.data)
    resumed = store.restore(trainer) if store else None
    begin = f"resumed from {resumed}" if resumed else "from step 0"
    say(f"{dist.get_world_size()} processes, {strategy()}, {begin}")
    stopped = train(trainer, data, options, store)
    if store and not stopped:
        save(trainer, store)
    tell_summary(trainer, data, options)
    if stopped and not any_rank(is_terminated()):
        worker.await_end()
    dist.barrier()  # nobody leaves before rank 0 has saved: torchrun kills the others when one leaves with an error
    dist.destroy_process_group()
    gc.freeze()  # else Python looks through all of torch once more before it ends: seconds of the grace period
    sys.exit(STOPPED if stopped else 0)


def parse_options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Train a classifier of handwritten digits under torchrun.")
    parser.add_argument("--steps", type=int, default=300, help="optimiser steps in all")
    parser.add_argument("--batch-size", type=int, default=128, help="images per step, over all processes")
    parser.add_argument("--learning-rate", type=float, default=5e-3, help="of the first step; it falls to 0 in the end")
    parser.add_argument("--seed", type=int, default=0, help="of the initial weights and of the order of the images")
    parser.add_argument("--checkpoint-every", type=int, default=50, metavar="STEPS")
    parser.add_argument("--step-delay", type=float, default=0.0, metavar="SECONDS", help="slow the training down")
    parser.add_argument("--fail-at-step", type=int, metavar="N", help="the last rank dies there, in attempt 1 only")
    parser.add_argument("--data", type=Path, default=Path(__file__).with_name("digits.csv.gz"), metavar="FILE",
                        help="the CSV file that scikit-learn carries in sklearn/datasets/data")  # fmt: skip
    options = parser.parse_args()
    if not options.data.exists():
        parser.error(f"{options.data} does not exist: give scikit-learn's digits.csv.gz with --data")
    if "RANK" not in os.environ:
        parser.error("no RANK in the environment: start this program with torchrun")
    return options


def check(options: argparse.Namespace, world: int) -> None:
    """Refuse, with one line, what cannot be divided among the processes."""
    if options.batch_size % world:
        refuse(f"--batch-size {options.batch_size} cannot be divided among {world} processes")
    if strategy() not in ("FSDP", "DDP"):
        refuse(f"TRAINPUSH_STRATEGY is {strategy()}: this program knows FSDP and DDP")
    if world % sharding_degree():
        refuse(f"TRAINPUSH_SHARDING_DEGREE is {sharding_degree()}: it must divide the {world} processes")


def refuse(why: str) -> NoReturn:
    """Leave with status 2; rank 0 says why."""
    say(f"digits.py: {why}")
    dist.destroy_process_group()
    sys.exit(2)


def say(line: str) -> None:
    """Print a line, once per job."""
    if dist.get_rank() == 0:
        print(line, flush=True)


def strategy() -> str:
    """Return how the training is distributed: FSDP or DDP."""
    return os.environ.get("TRAINPUSH_STRATEGY", "FSDP")


def sharding_degree() -> int:
    """Return how many ranks share one copy of the parameters (at least 1)."""
    return int(os.environ.get("TRAINPUSH_SHARDING_DEGREE") or dist.get_world_size())


def any_rank(holds: bool) -> bool:
    """Return on every rank whether something holds on one of them; every rank must call it."""
    found = torch.tensor(holds, dtype=torch.int32)
    dist.all_reduce(found, dist.ReduceOp.MAX)
    return bool(found)


def build_model() -> nn.Module:
    """Build the classifier and distribute it: replicated (DDP), sharded (FSDP), or sharded in replicated groups."""
    model = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10))
    if strategy() == "DDP":
        return DistributedDataParallel(model)
    world, degree = dist.get_world_size(), sharding_degree()
    if degree == world:
        mesh = init_device_mesh("cpu", (world,), mesh_dim_names=("shard",))
    else:
        mesh = init_device_mesh("cpu", (world // degree, degree), mesh_dim_names=("replicate", "shard"))
    for layer in model:
        if isinstance(layer, nn.Linear):
            fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return model


def load_digits(path: Path) -> Digits:
    """Read the CSV file (1,797 rows: 64 pixels of 0..16 and the digit) and split it, always in the same way."""
    table = np.loadtxt(path, delimiter=",", dtype=np.float32)
    table = table[np.random.default_rng(0).permutation(len(table))]
    images, labels = torch.from_numpy(table[:, :64] / 16), torch.from_numpy(table[:, 64].astype(np.int64))
    cut = TRAINING_IMAGES
    return Digits(images[:cut], labels[:cut], images[cut:], labels[cut:])


def train(trainer: Trainer, data: Digits, options: argparse.Namespace, store: "CheckpointStore | None") -> bool:
    """Take the remaining steps; return whether somebody who needs the room ended them early."""
    while trainer.step < options.steps:
        if must_stop(trainer, store):
            return True
        loss = take_step(trainer, data, options)
        worker.report(trainer.step, options.steps, {"loss": loss})
        if store:
            store.note(trainer.step, loss)
        if trainer.step % LOG_EVERY == 0:
            accuracy = evaluate(trainer, data)["accuracy"]
            say(f"step {trainer.step}/{options.steps} loss {loss:.4f} accuracy {accuracy:.4f}")
        if store and trainer.step % options.checkpoint_every == 0 and save(trainer, store):
            say(f"stopping after step {trainer.step}: it is saved")
            return True
        if trainer.step == options.fail_at_step:
            fail_on_first_attempt()
        time.sleep(options.step_delay)
    return False


def must_stop(trainer: Trainer, store: "CheckpointStore | None") -> bool:
    """Save if that is asked for, and return whether no further step may be taken; every rank must call it."""
    request = worker.should_checkpoint()
    if not any_rank(request is not None):
        return False
    is_last = save(trainer, store) if store else any_rank(is_terminated())
    if is_last:
        say(f"stopping after step {trainer.step}: {request.reason if request else 'SIGTERM of another worker'}")
    return is_last


def is_terminated() -> bool:
    """Return whether this process got SIGTERM."""
    request = worker.should_checkpoint()
    return request is not None and request.id == worker.SIGTERM


def save(trainer: Trainer, store: "CheckpointStore") -> bool:
    """Save the present step, tell the operator, and return whether it was the last; every rank must call it."""
    uri = store.save(trainer)
    return any_rank(worker.saved(trainer.step, uri))


def take_step(trainer: Trainer, data: Digits, options: argparse.Namespace) -> float:
    """Train on this rank's part of the step's batch and return the loss on the whole of it.

    The batch depends on the seed and the step alone. So a resumed run sees what an unbroken one would have seen, with
    any number of processes, and a checkpoint needs no state of a random generator.
    """
    order = np.random.default_rng((options.seed, trainer.step)).permutation(TRAINING_IMAGES)
    mine = torch.from_numpy(order[: options.batch_size][dist.get_rank() :: dist.get_world_size()])
    for group in trainer.optimizer.param_groups:
        group["lr"] = options.learning_rate * (1 - trainer.step / options.steps)
    loss = cross_entropy(trainer.model(data.train_images[mine]), data.train_labels[mine])
    trainer.optimizer.zero_grad()
    loss.backward()
    trainer.optimizer.step()
    trainer.step += 1
    mean = loss.detach()
    dist.all_reduce(mean)
    return float(mean.item()) / dist.get_world_size()


def evaluate(trainer: Trainer, data: Digits) -> dict[str, float]:
    """Return accuracy (0..1) and mean loss on the held-out images; every rank must call it."""
    with torch.no_grad():
        scores = trainer.model(data.test_images)
    accuracy = (scores.argmax(dim=1) == data.test_labels).float().mean().item()
    return {"accuracy": round(accuracy, 4), "loss": round(cross_entropy(scores, data.test_labels).item(), 4)}


def fail_on_first_attempt() -> None:
    """Kill the last rank as a crash would, unless this is a later attempt."""
    last = dist.get_rank() == dist.get_world_size() - 1
    if last and attempt_number() == 1:
        os._exit(FAILED_ON_REQUEST)


def attempt_number() -> int:
    """Return the number of this start of the job, from 1."""
    return int(os.environ.get("TRAINPUSH_ATTEMPT", "1"))


def tell_summary(trainer: Trainer, data: Digits, options: argparse.Namespace) -> None:
    """Report step and metrics; in Kubernetes they also become the container's termination message."""
    metrics = evaluate(trainer, data)
    worker.report(trainer.step, options.steps, metrics)
    say(json.dumps({"step": trainer.step, "totalSteps": options.steps, "metrics": metrics}))


class CheckpointStore:
    """Checkpoints in ROOT/attempt-N/step-S/checkpoint.pt: a whole, unsharded state that any number of ranks can load.

    Only rank 0 touches the files. A checkpoint appears by one rename, so that a folder named step-S is complete. Each
    attempt writes in its own folder: one that was cut off but still runs can never overwrite what a later one saved.
    """

    def __init__(self, root: Path, attempt: int) -> None:
        self._root = root
        self._mine = root / f"attempt-{attempt}"
        self._losses: TextIO | None = None

    @classmethod
    def from_environment(cls) -> "CheckpointStore | None":
        """Return the store that TRAINPUSH_CHECKPOINT_DIR names, if any."""
        root = os.environ.get("TRAINPUSH_CHECKPOINT_DIR")
        return cls(Path(root), attempt_number()) if root else None

    def note(self, step: int, loss: float) -> None:
        """Write the loss of a step down, for whoever wants to see that none was repeated or lost."""
        if dist.get_rank() != 0:
            return
        if self._losses is None:
            self._mine.mkdir(parents=True, exist_ok=True)
            self._losses = (self._mine / "losses.csv").open("a", buffering=1)
        self._losses.write(f"{step},{loss:.6f}\n")

    def save(self, trainer: Trainer) -> str:
        """Save the present step, unless this attempt has done so already, and return where; every rank must call it."""
        options = StateDictOptions(full_state_dict=True, cpu_offload=True)
        model, optimizer = get_state_dict(trainer.model, trainer.optimizer, options=options)
        target = self._mine / f"step-{trainer.step}"
        if dist.get_rank() == 0 and not target.exists():
            publish({"step": trainer.step, "model": model, "optimizer": optimizer}, target)
            say(f"saved {target.relative_to(self._root)}")
        return str(target)

    def restore(self, trainer: Trainer) -> str | None:
        """Load the newest checkpoint of any attempt and return its name, or None if there is none yet."""
        state, name = self._read_newest() if dist.get_rank() == 0 else ({}, None)
        found = [name, state.get("step", 0)]
        dist.broadcast_object_list(found)
        if found[0] is None:
            return None
        options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True)
        set_model_state_dict(trainer.model, state.get("model", {}), options=options)
        set_optimizer_state_dict(trainer.model, trainer.optimizer, state.get("optimizer", {}), options=options)
        trainer.step = found[1]
        return str(found[0])

    def _read_newest(self) -> tuple[dict[str, Any], str | None]:
        saved = [(number(folder), number(folder.parent), folder) for folder in self._root.glob("attempt-*/step-*")]
        if not saved:
            return {}, None
        newest = max(saved)[2]
        return torch.load(newest / "checkpoint.pt", weights_only=True), str(newest.relative_to(self._root))


def number(folder: Path) -> int:
    """Return N of a folder named WORD-N."""
    return int(folder.name.rpartition("-")[2])


def publish(state: dict[str, Any], target: Path) -> None:
    """Write a checkpoint under a temporary name, flush it, and rename it to `target`."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    temporary.mkdir(parents=True)
    with (temporary / "checkpoint.pt").open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(target)


if __name__ == "__main__":
    main()
