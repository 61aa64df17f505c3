"""Find a model by name, folder or GGUF file, and load it safely.

Foreign weights are safetensors or GGUF only; remote code stays off; a folder that asks for
either is refused before anything of it is imported.
"""

from __future__ import annotations

import inspect
import json
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from tutelage.errors import ConfigError, InputError, nearest
from tutelage.files import read_manifest
from tutelage.machine.precision import Precision
from tutelage.models.builtin import builtin_models, find_builtin
from tutelage.models.gguf import builtin_folder, file_folder
from tutelage.progress import Progress, Quiet

_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_HUB_FILES = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja", "*.model", "*.txt"]


@dataclass(frozen=True, slots=True)
class ModelSource:
    """A model folder on disk and where it came from.

    Attributes:
        name: as the user wrote it.
        folder: plain Hugging Face folder.
        title: human name.
        licence: identifier where known.
        quantisation: what the weights went through, or None.
        on_hub: whether `name` is a hub name.
    """

    name: str
    folder: Path
    title: str
    licence: str | None = None
    quantisation: str | None = None
    on_hub: bool = False


def find_model(name: str, progress: Progress | None = None) -> ModelSource:
    """Resolve a built-in name, a folder, a `.gguf` file or a hub name to a folder on disk.

    Raises:
        ConfigError: nothing of that name can be found.
        InputError: the folder is not safe to load.
    """
    progress = progress or Quiet()
    builtin = find_builtin(name)
    if builtin is not None:
        folder = builtin_folder(builtin, progress)
        return ModelSource(name, folder, builtin.title, builtin.licence, builtin.quantisation)
    path = Path(name).expanduser()
    if path.suffix == ".gguf" and path.is_file():
        folder = file_folder(path, progress)
        facts = read_manifest(folder) or {}
        return ModelSource(name, folder, path.stem, None, facts.get("quantisation"))
    if path.is_dir():
        check_folder(path)
        return ModelSource(name, path.resolve(), path.resolve().name)
    folder = _from_hub(name, progress)
    check_folder(folder)
    return ModelSource(name, folder, name, on_hub=True)


def load_tokenizer(folder: Path) -> Any:
    """The folder's fast tokenizer."""
    try:
        return AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: no tokenizer could be loaded ({_first(error)}).") from error


def load_model(
    folder: Path | str, device: torch.device | str = "cpu", weights: Precision = "fp32"
) -> Any:
    """The folder's causal model, in evaluation mode, on a device.

    Raises:
        InputError: not a causal language model that can be loaded and trained here.
    """
    folder = Path(folder)
    check_folder(folder)
    transformers_logging.disable_progress_bar()
    try:
        model, loaded = AutoModelForCausalLM.from_pretrained(
            str(folder),
            output_loading_info=True,
            dtype=torch.bfloat16 if weights == "bf16" else torch.float32,
            use_safetensors=True,
            local_files_only=True,
            attn_implementation="sdpa",
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise InputError(
            f"{folder}: not a causal language model that loads here ({_first(error)})."
        ) from error
    if missing := sorted(loaded["missing_keys"]):  # they would be random numbers
        raise InputError(
            f"{folder}: not a causal language model that loads here ({len(missing)} weights are "
            f"missing, such as {missing[0]}). Give the whole model."
        )
    if "logits_to_keep" not in inspect.signature(model.forward).parameters:
        raise InputError(
            f"{folder}: models of type {model.config.model_type!r} cannot compute logits for "
            "chosen rows only (no `logits_to_keep`); use another architecture."
        )
    return model.to(device).eval()


def context_length(folder: Path) -> int:
    """Longest sequence the model was made for, in tokens."""
    config = AutoConfig.from_pretrained(str(folder), local_files_only=True).get_text_config()
    return int(getattr(config, "max_position_embeddings", 2048))


def check_folder(folder: Path) -> None:
    """Refuse a model folder that would run code or read outside itself.

    Raises:
        InputError: pickle weights, remote code, or shard names that leave the folder.
    """
    config = _read_config(folder)
    for key in ("auto_map", "_attn_implementation_internal"):
        if key in config:
            raise InputError(
                f"{folder / 'config.json'}: has {key!r}, which asks for code of the model's own; "
                "Tutelage never runs it. Use a model of a standard architecture."
            )
    if not any(folder.glob("*.safetensors")):
        found = sorted(p.name for pattern in _PICKLES for p in folder.glob(pattern))
        hint = (
            f"it has {', '.join(found)}, and such files can run code when read. Convert them to "
            "safetensors with the tool that made them."
            if found
            else "there are none. Give a folder with model.safetensors."
        )
        raise InputError(f"{folder}: weights must be safetensors; {hint}")
    index = folder / "model.safetensors.index.json"
    if index.exists():
        names = set(json.loads(index.read_text(encoding="utf-8")).get("weight_map", {}).values())
        bad = [n for n in names if len(PurePosixPath(str(n)).parts) != 1 or ".." in str(n)]
        if bad:
            raise InputError(f"{index}: names files outside the folder: {bad[0]!r}. Refused.")


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{folder}: is not a model folder (no config.json).") from error
    except ValueError as error:
        raise InputError(f"{path}: is not valid JSON ({error}).") from error
    if not isinstance(config, dict):
        raise InputError(f"{path}: is not a JSON object.")
    return config


def _from_hub(name: str, progress: Progress) -> Path:
    known = [m.name for m in builtin_models()]
    hint = f"Built-in models: {', '.join(known)}.{nearest(name, known)}"
    if name.count("/") != 1 or name.startswith((".", "/", "~")):
        raise ConfigError(f"model: {name!r} is no built-in model, folder or GGUF file. {hint}")
    try:
        progress.say(f"Looking for {name} on the Hugging Face hub or in its cache.")
        return Path(snapshot_download(name, allow_patterns=_HUB_FILES))
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        raise ConfigError(
            f"model: {name!r} could not be fetched from the hub ({_first(error)}). "
            f"Give a local folder, or check the name and the network. {hint}"
        ) from error


def _first(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
