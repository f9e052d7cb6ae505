"""Train a tiny language model on counting, with the Trainer of Hugging Face under torchrun; nothing is downloaded."""

import argparse
import os
import sys
from pathlib import Path

import torch
from torch.utils.data import Dataset
from trainpush_callback import TrainpushCallback, newest_checkpoint, own_folder
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

LENGTH, VOCABULARY = 32, 64


class Counting(Dataset[dict[str, torch.Tensor]]):
    """Rows that count up from their own index, with a step of 1 to 3."""

    def __len__(self) -> int:
        return 4096

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        row = (index + torch.arange(LENGTH) * (1 + index % 3)) % VOCABULARY
        return {"input_ids": row, "labels": row}


def main() -> None:
    """Train to the last step, or stop after a checkpoint when somebody needs the room."""
    parser = argparse.ArgumentParser(description="Train a tiny language model under torchrun.")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--save-every", type=int, default=50)
    options = parser.parse_args()
    root = Path(os.environ.get("TRAINPUSH_CHECKPOINT_DIR", "checkpoints"))
    model = GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, n_positions=LENGTH, n_layer=2, n_head=2, n_embd=64))
    arguments = TrainingArguments(
        output_dir=os.fspath(own_folder(root)),
        max_steps=options.steps,
        save_steps=options.save_every,
        logging_steps=10,
        per_device_train_batch_size=16,
        learning_rate=1e-3,
        report_to=[],
    )
    callback = TrainpushCallback()
    trainer = Trainer(model, arguments, train_dataset=Counting(), callbacks=[callback])
    resumed = newest_checkpoint(root)
    print(f"resumed from {resumed}" if resumed else "from step 0", flush=True)
    trainer.train(resume_from_checkpoint=resumed)
    callback.leave()


if __name__ == "__main__":
    sys.exit(main())
