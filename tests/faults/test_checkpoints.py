"""A checkpoint is used only when it is whole, and a failed write costs nothing that was there."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from few_steps import Listener, make_plan, random_rows, train
from interrupted import LongTraining, check_whole, checkpoints

from command import call
from tutelage.errors import IntegrityError, ResumeError, StorageError
from tutelage.files import manifest_problems, read_json, sha256_file
from tutelage.models.export import export_model
from tutelage.models.load import load_model, load_tokenizer
from tutelage.train import checkpoint, loop
from tutelage.train.preflight import check_room

FILES = ("weights.safetensors", "exp_avg.safetensors", "exp_avg_sq.safetensors", "state.json")
DAMAGE: dict[str, Callable[[bytes], bytes | None]] = {
    "truncated": lambda data: data[: len(data) // 2],
    "emptied": lambda data: b"",
    "flipped": lambda data: _flipped(data, len(data) // 2),
    "zeroed": lambda data: data[:-40] + bytes(40),
    "missing": lambda data: None,
}


def _flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]


def _damage(path: Path, how: str) -> None:
    data = DAMAGE[how](path.read_bytes())
    path.unlink()
    if data is not None:
        path.write_bytes(data)


class Half(NamedTuple):
    """Four of six steps; a folder that may be written to, and where training ends from here."""

    folder: Path
    result: str
    base: Path

    def new_model(self) -> Any:
        """The untrained model."""
        return load_model(self.base)


@pytest.fixture(scope="module")
def _four_steps(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Half:
    folder = tmp_path_factory.mktemp("four")

    whole = tmp_path_factory.mktemp("six")
    model = load_model(tiny_model_dir)
    train(model, random_rows(model), whole)
    model = load_model(tiny_model_dir)
    with pytest.MonkeyPatch.context() as patch:
        _before_step(patch, 5, _give_up)
        with pytest.raises(InterruptedError):
            train(model, random_rows(model), folder)
    last = whole / "checkpoints" / "step-00000006" / "weights.safetensors"
    return Half(folder, sha256_file(last), tiny_model_dir)


def _give_up() -> None:
    raise InterruptedError


def _before_step(patch: pytest.MonkeyPatch, number: int, act: Callable[[], None]) -> None:
    """Act when the training loop comes to its `number`-th step."""
    real, calls = loop.train_step, 0

    def step(*arguments: Any, **options: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            act()
        return real(*arguments, **options)

    patch.setattr(loop, "train_step", step)


@pytest.fixture
def half(_four_steps: Half, tmp_path: Path) -> Half:
    folder = tmp_path / "training"
    shutil.copytree(_four_steps.folder, folder)
    return _four_steps._replace(folder=folder)


def _go_on(half: Half, **options: Any) -> list[str]:
    """Train to the end; checks the result and returns what was said."""
    model, listener = half.new_model(), Listener()
    train(model, random_rows(model), half.folder, listener=listener, **options)
    last = half.folder / "checkpoints" / "step-00000006"
    assert manifest_problems(last, hashes=True) == []
    assert sha256_file(last / "weights.safetensors") == half.result
    return listener.said


def _names(half: Half) -> list[str]:
    return sorted(path.name for path in (half.folder / "checkpoints").iterdir())


# --- damage ---


@pytest.mark.parametrize("how", DAMAGE)
@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_a_damaged_checkpoint_is_named_and_skipped(name: str, how: str, half: Half) -> None:
    _damage(half.folder / "checkpoints" / "step-00000004" / name, how)
    said = _go_on(half)
    assert "Skipped a damaged checkpoint" in said[0]
    assert "step-00000004" in said[0]
    assert name in said[0] or name == "manifest.json"
    assert said[1] == "Going on from step 2 (step-00000002)."
    assert not [n for n in _names(half) if n.startswith(".tmp")]


def test_whole_checkpoints_go_on_from_the_newest(half: Half) -> None:
    assert _go_on(half)[0] == "Going on from step 4 (step-00000004)."


def test_no_flipped_byte_of_a_manifest_passes(half: Half) -> None:
    """Every byte in turn: the files and their hashes stay what they were, or it is noticed."""
    folder = half.folder / "checkpoints" / "step-00000004"
    path = folder / "manifest.json"
    data, files = path.read_bytes(), read_json(path)["files"]
    for position in range(len(data)):
        path.write_bytes(_flipped(data, position))
        if not manifest_problems(folder, hashes=True):
            assert read_json(path)["files"] == files, f"byte {position}"


@pytest.mark.parametrize("name", [*FILES, "manifest.json"])
def test_all_damaged_is_an_integrity_error(name: str, half: Half) -> None:
    for path in (half.folder / "checkpoints").glob("step-*"):
        _damage(path / name, "flipped")
    before = _names(half)
    with pytest.raises(IntegrityError, match=r"no checkpoint is whole.*--new"):
        _go_on(half)
    assert _names(half) == before


def test_a_damaged_checkpoint_does_not_count_among_those_kept(half: Half) -> None:
    """It stands at a step that training may not pass again, and would push a whole one out."""
    folder = half.folder / "checkpoints"
    (folder / "step-00000004").rename(folder / "step-00000005")
    _damage(folder / "step-00000005" / "state.json", "emptied")
    _go_on(half)
    kept = sorted(folder.glob("step-*"))
    assert len(kept) == 2
    assert all(manifest_problems(path, hashes=True) == [] for path in kept)


def test_the_command_says_that_all_are_damaged(
    long_training: LongTraining, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = long_training.copy(tmp_path / "run")
    _before_step(monkeypatch, 9, lambda: os.kill(os.getpid(), signal.SIGTERM))
    call(*long_training.arguments(run)).expect(75)
    check_whole(run)
    assert len(checkpoints(run)) == 2
    for path in checkpoints(run):
        _damage(path / "exp_avg.safetensors", "zeroed")
    done = call(*long_training.arguments(run)).expect(5)
    assert str(checkpoints(run)[0].parent) in done.err
    assert "Traceback" not in done.err


# --- names, keys ---


def test_stray_names_are_left_alone(half: Half) -> None:
    folder = half.folder / "checkpoints"
    strays = ["step-1", "step-00000003.bak", "step-000000009", "best-of-all"]
    for name in strays:
        shutil.copytree(folder / "step-00000002", folder / name)
    (folder / "step-00000009").symlink_to(folder / "step-00000002", target_is_directory=True)
    (folder / "step-00000008").write_text("a file")
    (folder / "notes.txt").write_text("mine")
    assert _go_on(half)[0] == "Going on from step 4 (step-00000004)."
    assert {*strays, "step-00000009", "step-00000008", "notes.txt"} <= set(_names(half))


def test_another_configuration_is_refused(half: Half) -> None:
    before = _names(half)
    with pytest.raises(ResumeError, match=r"step-00000004.*another configuration.*--new"):
        _go_on(half, key="another")
    assert _names(half) == before


@pytest.mark.parametrize("keep", [2, 3])
def test_as_many_as_asked_are_kept(
    keep: int, tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    real = loop.save_checkpoint

    def save(folder: Path, *arguments: Any) -> None:
        real(folder, *arguments)
        counts.append(len(list(folder.glob("step-*"))))

    monkeypatch.setattr(loop, "save_checkpoint", save)
    model = load_model(tiny_model_dir)
    plan = make_plan(checkpoint_every=1, keep_checkpoints=keep, validate_at=(1, 2, 3, 4, 5, 6))
    state = train(model, random_rows(model), tmp_path, plan)
    assert counts == [min(n, keep) for n in range(1, 7)]
    assert state.best_step == 1
    assert [p.name for p in (tmp_path / "checkpoints").glob("best-*")] == ["best-00000001"]


# --- disk ---


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """Let this process write files of so many bytes only, as a full disk would."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    old = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, old)


def test_a_write_that_fails_leaves_the_previous_checkpoint(
    half: Half, small_files: Callable[[int], None]
) -> None:
    model = half.new_model()
    small_files(50_000)
    with pytest.raises(StorageError, match=r"weights\.safetensors: could not be written"):
        train(model, random_rows(model), half.folder)
    tokenizer = load_tokenizer(half.base)
    with pytest.raises(StorageError, match="could not be written"):
        export_model(model, tokenizer, tokenizer.eos_token_id, half.folder / "model")
    small_files(resource.RLIM_INFINITY)
    assert _names(half) == ["step-00000002", "step-00000004"]
    assert _go_on(half)[0] == "Going on from step 4 (step-00000004)."


@pytest.mark.parametrize(
    ("links", "failing"), [(True, 0), (True, 1), (False, 0), (False, 1), (False, 2)]
)
def test_a_disk_that_fills_up(
    links: bool, failing: int, half: Half, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In each tensor file of a checkpoint in turn; the best weights are written before.

    Where the file system has links, the checkpoint's weights are that file and not a third one.
    """
    real, calls = checkpoint.save_file, 0
    if not links:
        monkeypatch.setattr(checkpoint, "_link", lambda _best, _folder: None)

    def save(tensors: Any, path: Path) -> None:
        nonlocal calls
        calls += 1
        if calls == failing + 2:
            path.write_bytes(b"torn")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        real(tensors, path)

    monkeypatch.setattr(checkpoint, "save_file", save)
    model = half.new_model()
    with pytest.raises(StorageError, match="No space left"):
        train(model, random_rows(model), half.folder)
    monkeypatch.undo()
    for step in (2, 4):
        path = half.folder / "checkpoints" / f"step-{step:08d}"
        assert manifest_problems(path, hashes=True) == []
    assert _go_on(half)[0] == "Going on from step 4 (step-00000004)."
    assert not [n for n in _names(half) if n.startswith(".tmp")]


def test_too_little_room_is_said_before_training(
    tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load_model(tiny_model_dir)
    usage = shutil.disk_usage(tmp_path)
    check_room(model, make_plan(), tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=500_000))
    with pytest.raises(StorageError, match=r"0\.0 GB free.*--out") as caught:
        check_room(model, make_plan(), tmp_path)
    assert caught.value.exit_code == 6
    assert list(tmp_path.iterdir()) == []
