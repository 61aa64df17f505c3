"""LLaMA-Factory's supervised trainer; rows padded to multiples of eight, as it does."""

from __future__ import annotations

import sys
import types
from importlib.metadata import version

import torch
import transformers.modeling_utils  # noqa: F401 - looks for packages before one is made up

# LLaMA-Factory imports it for audio, which is not in this work; on a CPU it may have no build that
# fits the torch that all contenders use.
sys.modules["torchaudio"] = types.ModuleType("torchaudio")

from llamafactory.hparams import FinetuningArguments, TrainingArguments  # noqa: E402
from llamafactory.train.sft.trainer import CustomSeq2SeqTrainer  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, DataCollatorForSeq2Seq  # noqa: E402

from hf_worker import Pause, arguments, dataset, run, steps  # noqa: E402
from protocol import model_folder, precision  # noqa: E402


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
