"""A run directory: where each stage writes, and whether what is there is what would be written.

Imports no torch: `tutelage run` on a finished run, and `tutelage show`, answer at once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tutelage import config as configuration
from tutelage.config import RunConfig
from tutelage.errors import ResumeError, StorageError
from tutelage.files import (
    locked,
    manifest_problems,
    read_manifest,
    sha256_file,
    sha256_json,
    write_json,
    write_text,
)
from tutelage.tasks.fingerprint import source_fingerprint
from tutelage.templates.library import is_template_path

StageName = Literal["prepare", "baseline", "train", "evaluate", "report"]
STAGES: tuple[StageName, ...] = ("prepare", "baseline", "train", "evaluate", "report")
_FOLDERS = {"prepare": "data", "baseline": "baselines", "train": "training", "evaluate": "test"}
_NEEDS: dict[StageName, tuple[StageName, ...]] = {
    "prepare": (),
    "baseline": ("prepare",),
    "train": ("prepare",),
    "evaluate": ("baseline", "train"),
    "report": ("evaluate",),
}
_FORMAT = 2  # of what the stages write; a change makes old runs start again
_SAMPLE = 1 << 20


@dataclass(frozen=True, slots=True)
class RunDirectory:
    """One run: its directory, its configuration, and the fingerprint of data and local model."""

    path: Path
    config: RunConfig
    fingerprint: str

    def folder(self, stage: StageName) -> Path:
        """Where a stage writes; the report stands in the run directory itself."""
        return self.path / _FOLDERS[stage] if stage in _FOLDERS else self.path

    @property
    def model(self) -> Path:
        """The tuned model, a plain Hugging Face folder."""
        return self.path / "model"

    def key(self, stage: StageName) -> str:
        """Hash of everything a stage's result depends on."""
        plain = self.config.model_dump(mode="json")
        plain["task"].pop("source")  # the fingerprint stands for it, and for template files
        patterns = plain["task"]["templates"]
        plain["task"]["templates"] = ["file" if is_template_path(p) else p for p in patterns]
        training = plain["training"]
        own: dict[StageName, Any] = {
            "prepare": [
                plain["task"],
                plain["split"],
                plain["model"],
                training["max_length"],
                self.fingerprint,
            ],
            "baseline": [
                plain["baselines"],
                self.config.training.named_precision,
                training["seed"],
            ],
            "train": [training],
            "evaluate": [],
            "report": [plain["report"]],
        }
        return sha256_json([_FORMAT, stage, own[stage], [self.key(s) for s in _NEEDS[stage]]])

    def done(self, stage: StageName) -> bool:
        """Whether the stage's result is whole and belongs to this configuration."""
        folder = self.folder(stage)
        manifest = read_manifest(folder)
        if manifest is None or manifest.get("key") != self.key(stage):
            return False
        if stage == "train" and manifest_problems(self.model, hashes=False):
            return False
        return not manifest_problems(folder, hashes=False)

    def needed(self, last: StageName) -> list[StageName]:
        """Stages still to run for `last` to be done, in order."""
        wanted: set[StageName] = {last}
        for stage in reversed(STAGES):
            if stage in wanted:
                wanted.update(_NEEDS[stage])
        pending: list[StageName] = []
        for stage in STAGES:
            stale = any(n in pending for n in _NEEDS[stage])
            if stage in wanted and (stale or not self.done(stage)):
                pending.append(stage)
        return pending

    def claim(self, origins: Mapping[str, str]) -> None:
        """Write `config.yaml` and `origins.json` where they are not there yet.

        Raises:
            StorageError: the directory cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"{self.path}: cannot be made ({error.strerror}). Choose another --out."
            ) from error
        if not (self.path / "config.yaml").exists():
            write_text(self.path / "config.yaml", configuration.dump_config(self.config))
            write_json(self.path / "origins.json", dict(origins))


def open_directory(
    config: RunConfig, out: Path | None, *, runs: Path = Path("runs"), new: bool = False
) -> RunDirectory:
    """The run directory of a configuration: `out`, or `runs/<task>-<8 hex>`.

    With `new`, a directory that is already there is set aside under another name, never deleted.

    Raises:
        ResumeError: `out` holds a run of another configuration or other data.
        LockedError: the run to set aside is in use.
    """
    fingerprint = fingerprint_of(config)
    name = f"{config.task.name}-{configuration.config_hash(config, fingerprint)}"
    path = out if out is not None else runs / name
    directory = RunDirectory(path, config, fingerprint)
    if new and path.is_dir():
        with locked(path):
            path.rename(_free_name(path))
    _check_same(directory)
    return directory


def existing(path: Path) -> RunDirectory:
    """The run directory at `path`, by the configuration it holds.

    Raises:
        ConfigError: there is no run there.
    """
    config = configuration.read_config(path / "config.yaml")
    return RunDirectory(path, config, fingerprint_of(config))


def fingerprint_of(config: RunConfig) -> str:
    """Hash of everything outside the configuration that a run reads: data, model, templates."""
    templates = [sha256_file(Path(p)) for p in config.task.templates if is_template_path(p)]
    return sha256_json(
        [source_fingerprint(config.task.source, config.split), _model_mark(config.model), templates]
    )


def _check_same(directory: RunDirectory) -> None:
    held = directory.path / "config.yaml"
    if not held.exists():
        return
    lines = configuration.difference(configuration.read_config(held), directory.config)
    manifest = read_manifest(directory.folder("prepare"))
    if manifest and manifest.get("fingerprint") != directory.fingerprint:
        lines.append("the data, the model folder or a template file has changed since")
    if lines:
        raise ResumeError(
            f"{directory.path}: holds a run that differs:\n  "
            + "\n  ".join(lines)
            + "\nUse another --out, or --new to set that run aside and start afresh."
        )


def _free_name(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.name}.old-{number}")).exists():
        number += 1
    return aside


def _model_mark(name: str) -> str:
    """What identifies a local model's content without reading gigabytes; a name stands for itself.

    Of large files the size and three samples of a megabyte count.
    """
    path = Path(name).expanduser()
    if not path.exists():
        return name
    files = sorted(p for p in path.iterdir() if p.is_file()) if path.is_dir() else [path]
    digest = hashlib.sha256()
    for file in files:
        size = file.stat().st_size
        digest.update(f"{file.name}\0{size}\0".encode())
        with file.open("rb") as stream:
            for start in (0, size // 2, max(0, size - _SAMPLE)):
                stream.seek(start)
                digest.update(stream.read(_SAMPLE))
    return digest.hexdigest()
