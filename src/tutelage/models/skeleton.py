"""A model without its weights: what it is made of, at no cost in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

from tutelage.errors import InputError
from tutelage.models.load import check_folder


def skeleton(folder: Path) -> Any:
    """The folder's causal model on the meta device: names and shapes of all weights.

    Raises:
        InputError: not a causal language model of a known architecture.
    """
    check_folder(folder)
    try:
        config = AutoConfig.from_pretrained(str(folder), local_files_only=True)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(
                config, dtype=torch.float32, attn_implementation="sdpa"
            )
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InputError(
            f"{folder}: not a causal language model that loads here ({first})."
        ) from error
    return model
