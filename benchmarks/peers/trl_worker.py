"""TRL's SFTTrainer: its default loss (chunked over labelled rows), pre-tokenised rows."""

from __future__ import annotations

import torch
import trl
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from hf_worker import Pause, arguments, dataset, run, steps
from protocol import model_folder, precision


def main() -> None:
    """The steps of the driver."""
    features, sizes = steps()
    told = arguments(len(features[0]), len(features[0]), precision(), len(features))
    told |= {"max_length": None, "packing": False, "padding_free": False}
    model = AutoModelForCausalLM.from_pretrained(model_folder(), dtype=torch.float32)
    pause = Pause(sizes)
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(**told),
        train_dataset=dataset(features, ("input_ids", "labels")),
        processing_class=AutoTokenizer.from_pretrained(model_folder()),
        callbacks=[pause],
    )
    run(trainer, pause, {"trl": trl.__version__, "loss_type": trainer.args.loss_type, **told})


if __name__ == "__main__":
    main()
