"""LLaMA-Factory's supervised trainer; rows padded to multiples of eight, as it does."""

from __future__ import annotations

from importlib.metadata import version

import torch
from llamafactory.hparams import FinetuningArguments, TrainingArguments
from llamafactory.train.sft.trainer import CustomSeq2SeqTrainer
from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorForSeq2Seq

from hf_worker import Pause, arguments, dataset, run, steps
from protocol import model_folder, precision


def main() -> None:
    """The steps of the driver."""
    features, sizes = steps()
    told = arguments(len(features[0]), len(features[0]), precision(), len(features))
    told["dataloader_drop_last"] = False
    model = AutoModelForCausalLM.from_pretrained(model_folder(), dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(model_folder())
    pause = Pause(sizes)
    trainer = CustomSeq2SeqTrainer(
        model=model,
        args=TrainingArguments(**told),
        finetuning_args=FinetuningArguments(stage="sft", finetuning_type="full"),
        processor=None,
        train_dataset=dataset(features, ("input_ids", "labels")),
        data_collator=DataCollatorForSeq2Seq(tokenizer, pad_to_multiple_of=8),
        tokenizer=tokenizer,
        callbacks=[pause],
    )
    run(trainer, pause, {"llamafactory": version("llamafactory"), **told})


if __name__ == "__main__":
    main()
