"""The plain Trainer of `transformers` with its own padding collator."""

from __future__ import annotations

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    Trainer,
    TrainingArguments,
)

from hf_worker import Pause, arguments, dataset, run, steps
from protocol import model_folder, precision


def main() -> None:
    """The steps of the driver."""
    features, sizes = steps()
    told = arguments(len(features[0]), len(features[0]), precision(), len(features))
    model = AutoModelForCausalLM.from_pretrained(model_folder(), dtype=torch.float32)
    pause = Pause(sizes)
    trainer = Trainer(
        model=model,
        args=TrainingArguments(**told),
        train_dataset=dataset(features, ("input_ids", "labels")),
        data_collator=DataCollatorForSeq2Seq(AutoTokenizer.from_pretrained(model_folder())),
        callbacks=[pause],
    )
    run(trainer, pause, told)


if __name__ == "__main__":
    main()
