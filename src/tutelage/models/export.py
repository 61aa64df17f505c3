"""Hand over a model that plain `transformers` loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from tutelage.errors import StorageError


def export_model(model: Any, tokenizer: Any, stop_id: int, folder: Path) -> None:
    """Save weights (safetensors), configuration, tokenizer and chat template.

    The generation configuration learns the stop token of the turn, so that a plain `generate`
    ends where training taught the model to end.

    Raises:
        StorageError: the disk is full.
    """
    eos = model.generation_config.eos_token_id
    known = [] if eos is None else [eos] if isinstance(eos, int) else list(eos)
    if stop_id not in known:
        model.generation_config.eos_token_id = [*known, stop_id]
    try:
        model.save_pretrained(folder, safe_serialization=True)
    except SafetensorError as error:
        raise StorageError(f"{folder}: could not be written ({error}). Free space.") from error
    tokenizer.save_pretrained(folder)
