"""LitGPT's full fine-tuning step: its model, its padding, its chunked loss, through Fabric.

What `litgpt.finetune.full.fit` does in a step, on the driver's rows. LitGPT keeps the head apart
from the embedding, which SmolLM2 ties, so it trains more weights than the others.
"""

from __future__ import annotations

import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning as L
import torch
from litgpt.config import Config
from litgpt.data.base import get_sft_collate_fn
from litgpt.model import GPT
from litgpt.scripts.convert_hf_checkpoint import copy_weights_hf_llama
from litgpt.utils import chunked_cross_entropy
from safetensors.torch import load_file

from protocol import model_folder, peak_gb, precision, tell, wait, work

RATE = 1e-5


def model() -> GPT:
    """The weights of the folder, converted by LitGPT's own table."""
    config = Config.from_name("SmolLM2-135M-Instruct")
    given = json.loads((Path(model_folder()) / "config.json").read_text(encoding="utf-8"))
    assert config.n_embd == given["hidden_size"]
    found: dict[str, torch.Tensor] = {}
    weights = load_file(Path(model_folder()) / "model.safetensors")
    copy_weights_hf_llama(config, {}, found, weights)
    if "lm_head.weight" not in found:
        found["lm_head.weight"] = found["transformer.wte.weight"].clone()
    gpt = GPT(config)
    gpt.load_state_dict(found)
    return gpt


def main() -> None:
    """The steps of the driver."""
    plan = work()
    mixed = "bf16-mixed" if precision() == "bf16" else "32-true"
    fabric = L.Fabric(accelerator="cpu", devices=1, precision=mixed)
    gpt = model().float()
    optimizer = torch.optim.AdamW(gpt.parameters(), lr=RATE, weight_decay=0.0, fused=True)
    gpt, optimizer = fabric.setup(gpt, optimizer)
    gpt.train()
    collate = get_sft_collate_fn(max_seq_length=-1, pad_id=0, ignore_index=-100)
    settings = {"precision": mixed, "fused": True, "micro_batch_size": len(plan["check"][0])}
    versions = {"litgpt": version("litgpt"), "torch": torch.__version__}
    tell(ready=True, versions=versions, settings=settings)
    for step in [*plan["check"], *plan["grouped"]]:
        batch = collate([_sample(ids, first) for ids, first in step])
        if not wait():
            return
        started = time.perf_counter()
        logits = gpt(batch["input_ids"])
        loss = chunked_cross_entropy(logits[..., :-1, :], batch["labels"][..., 1:])
        fabric.backward(loss)
        fabric.clip_gradients(gpt, optimizer, max_norm=1.0)
        optimizer.step()
        optimizer.zero_grad()
        tell(
            seconds=time.perf_counter() - started,
            loss=float(loss.detach()),
            examples=len(step),
            tokens=sum(len(ids) - 1 for ids, _ in step),
            peak_gb=peak_gb(),
        )


def _sample(ids: list[int], first: int) -> dict[str, Any]:
    labels = torch.tensor([-100] * first + ids[first:])
    counts = {"raw": len(ids), "raw_plus_prompt_template": len(ids)}
    return {"input_ids": torch.tensor(ids), "labels": labels, "token_counts": counts}


if __name__ == "__main__":
    main()
