"""Write what digits.py trained as a model directory of Triton: the export command of a push.

The newest complete checkpoint of any attempt becomes three files: the weights, a program of numpy that computes with
them, and a configuration of inputs and outputs. No image and no label goes along. The same checkpoint always gives the
same bytes, so that an export that is repeated is the same release.

Environment:
    TRAINPUSH_CHECKPOINT_DIR    Where digits.py saved its checkpoints.
    TRAINPUSH_EXPORT_DIR        Empty folder for the model directory.
"""

import os
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

# Shapes of one image; what makes a batch is the business of whoever serves it, as are the name and the instances.
CONFIG = """\
backend: "python"
input [{ name: "IMAGE" data_type: TYPE_FP32 dims: [64] }]
output [{ name: "SCORES" data_type: TYPE_FP32 dims: [10] }]
"""


def main() -> None:
    """Export the newest checkpoint."""
    checkpoints, target = folder("TRAINPUSH_CHECKPOINT_DIR"), folder("TRAINPUSH_EXPORT_DIR")
    newest = newest_checkpoint(checkpoints)
    state = torch.load(newest / "checkpoint.pt", map_location="cpu", weights_only=True)
    version = target / "1"
    version.mkdir()
    save_weights(state["model"], version / "weights.npz")
    shutil.copyfile(Path(__file__).with_name("model.py"), version / "model.py")
    (target / "config.pbtxt").write_text(CONFIG)
    print(f"exported {newest.relative_to(checkpoints)} after {state['step']} steps")


def folder(variable: str) -> Path:
    """Return the folder that an environment variable names."""
    name = os.environ.get(variable)
    if not name or not Path(name).is_dir():
        sys.exit(f"export.py: {variable} must name a folder, and is {name!r}" if name else f"export.py: set {variable}")
    return Path(name)


def newest_checkpoint(root: Path) -> Path:
    """Return the folder attempt-N/step-S with the most steps, of these the one of the latest attempt."""
    saved = [path for path in root.glob("attempt-*/step-*") if (path / "checkpoint.pt").exists()]
    if not saved:
        sys.exit(f"export.py: no checkpoint attempt-*/step-*/checkpoint.pt in {root}")
    return max(saved, key=lambda path: (number(path), number(path.parent)))


def number(path: Path) -> int:
    """Return N of a folder named WORD-N."""
    return int(path.name.rpartition("-")[2])


def save_weights(model: dict[str, Tensor], target: Path) -> None:
    """Write an .npz file as `numpy.savez` does, but without the time of day."""
    with zipfile.ZipFile(target, "w") as archive:
        for name, tensor in sorted(model.items()):
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w") as file:
                np.lib.format.write_array(file, tensor.numpy(), allow_pickle=False)


if __name__ == "__main__":
    main()
