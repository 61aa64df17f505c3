"""Files: whole or absent, hashed, locked, and read back as they were written."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tutelage import files
from tutelage.errors import IntegrityError, LockedError, StorageError
from tutelage.files import (
    MANIFEST,
    canonical_json,
    locked,
    manifest_problems,
    read_json,
    read_jsonl,
    read_manifest,
    remove_temporaries,
    sha256_file,
    sha256_json,
    whole_directory,
    write_bytes,
    write_json,
    write_jsonl,
    write_manifest,
    write_text,
)

ANY_TEXT = st.text(max_size=12) | st.text(st.characters(categories=["Cs", "Zl", "Cc"]), max_size=4)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture
def _full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", refuse)


# --- single files ---


def test_bytes_replace_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.bin"
    write_bytes(path, b"one")
    write_bytes(path, b"\0two")
    assert path.read_bytes() == b"\0two"
    assert names(path.parent) == ["a.bin"]


@pytest.mark.usefixtures("_full_disk")
def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(StorageError, match=r"a\.txt: could not be written \(No space left"):
        write_text(path, "new")
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_value_that_is_not_json_writes_nothing(tmp_path: Path) -> None:
    for value in (float("nan"), float("inf"), {1, 2}):
        with pytest.raises((ValueError, TypeError)):
            write_json(tmp_path / "a.json", value)
        with pytest.raises((ValueError, TypeError)):
            write_jsonl(tmp_path / "a.jsonl", [{"x": 1}, {"x": value}])
    assert names(tmp_path) == []


def test_json_keeps_the_order_of_keys_and_ends_in_a_line_feed(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"b": 1, "a": "\u00e9"})
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert text == '{\n  "b": 1,\n  "a": "\u00e9"\n}\n'
    assert read_json(tmp_path / "a.json") == {"b": 1, "a": "\u00e9"}


@pytest.mark.parametrize("content", ["", "{", "[1,]"])
def test_broken_json_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(IntegrityError, match=r"a\.json: is not valid JSON"):
        read_json(tmp_path / "a.json")


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=r"a\.json: is missing"):
        read_json(tmp_path / "a.json")
    with pytest.raises(IntegrityError, match=r"a\.jsonl: is missing"):
        list(read_jsonl(tmp_path / "a.jsonl"))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.dictionaries(ANY_TEXT, ANY_TEXT | st.integers() | st.none(), max_size=3)))
def test_lines_come_back_whatever_stands_in_them(
    tmp_path: Path, values: list[dict[str, Any]]
) -> None:
    path = tmp_path / "a.jsonl"
    write_jsonl(path, values)
    assert list(read_jsonl(path)) == values
    assert path.read_bytes().count(b"\n") == len(values)


def test_a_line_ends_at_a_line_feed_only(tmp_path: Path) -> None:
    values = [{"text": "a\u2028b\u2029c\u0085d\x0be\x0cf\x1cg\r\nh\ri"}, {"text": ""}]
    write_jsonl(tmp_path / "a.jsonl", values)
    assert "\u2028" in (tmp_path / "a.jsonl").read_text(encoding="utf-8")
    assert list(read_jsonl(tmp_path / "a.jsonl")) == values


def test_a_broken_line_is_named_by_number(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": "\u2028"}\n{"a": \n{}\n', encoding="utf-8")
    with pytest.raises(IntegrityError, match=r"a\.jsonl:2: is not valid JSON"):
        list(read_jsonl(tmp_path / "a.jsonl"))


# --- hashes ---


def test_canonical_json_has_one_spelling() -> None:
    assert canonical_json({"b": [1, 2.5], "a": "\u00e9"}) == '{"a":"\u00e9","b":[1,2.5]}'
    assert canonical_json({"a": 1, "b": 2}) == canonical_json({"b": 2, "a": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json(float("nan"))


@given(ANY_TEXT)
def test_hash_of_json_is_that_of_its_bytes(text: str) -> None:
    data = json.dumps([text], ensure_ascii=False).encode("utf-8", "surrogatepass")
    assert sha256_json([text]) == hashlib.sha256(data).hexdigest()


def test_hash_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\0" * 100_000)
    assert sha256_file(tmp_path / "a") == hashlib.sha256(b"\0" * 100_000).hexdigest()


# --- directories ---


def test_a_directory_appears_when_it_is_whole(tmp_path: Path) -> None:
    final = tmp_path / "deep" / "data"
    with whole_directory(final) as folder:
        (folder / "sub").mkdir()
        (folder / "sub" / "a").write_text("1")
        assert not final.exists()
    assert (final / "sub" / "a").read_text() == "1"
    assert names(tmp_path / "deep") == ["data"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_old_directory(tmp_path: Path, error: type[BaseException]) -> None:
    final = tmp_path / "data"
    with whole_directory(final) as folder:
        (folder / "a").write_text("old")
    with pytest.raises(error), whole_directory(final) as folder:  # noqa: PT012
        (folder / "a").write_text("new")
        raise error
    assert (final / "a").read_text() == "old"
    assert names(tmp_path) == ["data"]


def test_a_failure_leaves_no_new_directory(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), whole_directory(tmp_path / "data"):
        raise ValueError("no")
    assert names(tmp_path) == []


def test_a_directory_is_replaced_as_a_whole(tmp_path: Path) -> None:
    final = tmp_path / "data"
    for name in ("one", "two"):
        with whole_directory(final) as folder:
            (folder / name).write_text("")
    assert names(final) == ["two"]
    assert names(tmp_path) == ["data"]


def test_temporaries_go_and_results_stay(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("")
    run = tmp_path / "run"
    (run / ".tmp-12-data" / "sub").mkdir(parents=True)
    (run / ".tmp-12-a.json").write_text("")
    (run / ".tmp-link").symlink_to(outside, target_is_directory=True)
    (run / "data" / "arm").mkdir(parents=True)
    (run / "data" / "arm" / ".tmp-1-validation.jsonl").write_text("half")
    (run / "data" / "linked").symlink_to(outside, target_is_directory=True)
    (outside / ".tmp-of-others").write_text("")
    (run / ".lock").write_text("")
    remove_temporaries(run)
    assert names(run) == [".lock", "data"]
    assert names(run / "data" / "arm") == []
    assert names(run / "data") == ["arm", "linked"]
    (outside / ".tmp-of-others").unlink()
    assert names(outside) == ["kept"]


# --- manifests ---


@pytest.fixture
def stage(tmp_path: Path) -> Path:
    folder = tmp_path / "stage"
    (folder / "sub").mkdir(parents=True)
    (folder / "checkpoints").mkdir()
    for name in ("a.txt", "sub/b.txt", "checkpoints/c.txt", ".hidden", ".tmp-1-d"):
        (folder / name).write_text(name)
    return folder


def test_a_manifest_holds_facts_sizes_and_hashes(stage: Path) -> None:
    written = write_manifest(stage, skip=("checkpoints",), stage="train", key="k")
    assert written == read_manifest(stage)
    assert (written["stage"], written["key"]) == ("train", "k")
    assert written["files"] == {
        name: {"bytes": len(name), "sha256": hashlib.sha256(name.encode()).hexdigest()}
        for name in ("a.txt", "sub/b.txt")
    }
    assert write_manifest(stage, skip=("checkpoints",), stage="train", key="k") == written


def test_what_differs_from_a_manifest_is_named(stage: Path) -> None:
    write_manifest(stage)
    assert manifest_problems(stage, hashes=True) == []
    (stage / "a.txt").write_text("other")  # as long as before
    assert manifest_problems(stage, hashes=False) == []
    assert manifest_problems(stage, hashes=True) == [
        f"{stage}/a.txt: its sha256 is not the one in the manifest"
    ]
    (stage / "a.txt").write_text("longer")
    (stage / "sub" / "b.txt").unlink()
    (stage / "checkpoints" / "c.txt").unlink()
    (stage / "checkpoints" / "c.txt").symlink_to(stage / "a.txt")
    (stage / "new.txt").write_text("is nobody's business")
    assert sorted(manifest_problems(stage, hashes=False)) == [
        f"{stage}/a.txt: has 6 bytes, not 5",
        f"{stage}/checkpoints/c.txt: is missing",
        f"{stage}/sub/b.txt: is missing",
    ]


@pytest.mark.parametrize("content", [None, "{", "[]", '{"key": 1}'])
def test_no_manifest_that_reads(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / MANIFEST).write_text(content)
    assert read_manifest(tmp_path) is None
    assert manifest_problems(tmp_path, hashes=True) == [f"{tmp_path}: has no readable {MANIFEST}"]


# --- locks ---


def test_a_directory_is_held_once_and_let_go(tmp_path: Path) -> None:
    run = tmp_path / "run"
    with locked(run):
        with pytest.raises(LockedError, match=f"in use by process {os.getpid()}"), locked(run):
            pass
        assert (run / ".lock-owner").exists()
    with locked(run):
        pass
    with pytest.raises(ValueError, match="no"), locked(run):
        raise ValueError("no")
    with locked(run):
        pass
    assert not (run / ".lock-owner").exists()


def test_the_lock_of_a_dead_process_is_free(tmp_path: Path) -> None:
    code = (
        "import sys, time, pathlib; from tutelage.files import locked\n"
        "with locked(pathlib.Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockedError, match=f"process {holder.pid}"), locked(tmp_path):
            pass
        holder.kill()
    with locked(tmp_path):
        assert (tmp_path / ".lock-owner").read_text() == str(os.getpid())
