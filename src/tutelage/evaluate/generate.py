"""Greedy generation of one answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


@torch.inference_mode()
def greedy(
    model: Any, prompt_ids: Sequence[int], stop_id: int, max_new_tokens: int
) -> tuple[int, ...]:
    """Most likely next tokens until the stop token, which is left out."""
    ids = torch.tensor([list(prompt_ids)], device=model.device)
    out = model.generate(
        ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=max_new_tokens,
        do_sample=False,
        eos_token_id=stop_id,
        pad_token_id=stop_id,
        use_cache=True,
    )
    answer = out[0, len(prompt_ids) :].tolist()
    return tuple(answer[: answer.index(stop_id)] if stop_id in answer else answer)
