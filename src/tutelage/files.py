"""Atomic writes, hashes, manifests and locks.

A file or directory appears under its final name only when it is whole: it is written under a
temporary name beside it, flushed to disk, and renamed. The rename is the commit.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tutelage.errors import IntegrityError, LockedError, StorageError

MANIFEST = "manifest.json"
_TEMPORARY = ".tmp-"


def canonical_json(value: Any) -> str:
    """One spelling per value: sorted keys, no spaces, no NaN."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def sha256_json(value: Any) -> str:
    """Hex digest of the canonical JSON of a plain value."""
    return hashlib.sha256(canonical_json(value).encode("utf-8", "surrogatepass")).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def fsync_path(path: Path) -> None:
    """Flush a file or a directory entry to disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file or nothing."""
    temporary = path.with_name(f"{_TEMPORARY}{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        fsync_path(path.parent)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise StorageError(
            f"{path}: could not be written ({error.strerror}). Free space or permissions?"
        ) from error


def write_text(path: Path, text: str) -> None:
    """Write a whole UTF-8 text file or nothing."""
    write_bytes(path, text.encode("utf-8", "surrogatepass"))


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON, key order kept, newline at the end; refuses NaN."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n")


def write_jsonl(path: Path, values: Iterable[Mapping[str, Any]]) -> None:
    """Write one JSON object per line."""
    lines = [json.dumps(v, ensure_ascii=False, allow_nan=False) + "\n" for v in values]
    write_text(path, "".join(lines))


def read_json(path: Path) -> Any:
    """Read a JSON file of ours.

    Raises:
        IntegrityError: the file is missing or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise IntegrityError(f"{path}: is missing; run the stage that writes it again.") from error
    except ValueError as error:
        raise IntegrityError(
            f"{path}: is not valid JSON ({error}); delete it and rerun."
        ) from error


def read_jsonl(path: Path) -> Iterator[Any]:
    """Read the lines of a file of ours; lines end at a line feed only."""
    try:
        with path.open(encoding="utf-8", errors="surrogatepass", newline="\n") as stream:
            for number, line in enumerate(stream, 1):
                try:
                    yield json.loads(line)
                except ValueError as error:
                    raise IntegrityError(
                        f"{path}:{number}: is not valid JSON ({error}); delete the file and rerun."
                    ) from error
    except FileNotFoundError as error:
        raise IntegrityError(f"{path}: is missing; run the stage that writes it again.") from error


@contextmanager
def whole_directory(final: Path) -> Iterator[Path]:
    """Yield a temporary directory that takes the final name when the block ends well.

    An existing directory of that name is replaced; on an error nothing is left behind.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f"{_TEMPORARY}{os.getpid()}-{final.name}")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        for path in sorted(temporary.rglob("*")):
            fsync_path(path)
        fsync_path(temporary)
        if final.exists():
            doomed = final.with_name(f"{_TEMPORARY}{os.getpid()}-old-{final.name}")
            final.rename(doomed)
            temporary.rename(final)
            shutil.rmtree(doomed, ignore_errors=True)
        else:
            temporary.rename(final)
        fsync_path(final.parent)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def remove_temporaries(directory: Path) -> None:
    """Delete what interrupted writes left in `directory` and below; results are never touched."""
    for folder, folders, files in os.walk(directory):  # links are not followed
        for name in [*folders, *files]:
            path = Path(folder, name)
            if not name.startswith(_TEMPORARY):
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        folders[:] = [name for name in folders if not name.startswith(_TEMPORARY)]


def write_manifest(directory: Path, *, skip: Iterable[str] = (), **facts: Any) -> dict[str, Any]:
    """Write `manifest.json` last: `facts`, and size and sha256 of every file below.

    Entries of `directory` named in `skip`, hidden ones and temporaries are left out.
    """
    left_out = {MANIFEST, *skip}
    files = {}
    for path in sorted(directory.rglob("*")):
        top = path.relative_to(directory).parts[0]
        if path.is_file() and top not in left_out and not path.name.startswith("."):
            files[path.relative_to(directory).as_posix()] = {
                "bytes": path.stat().st_size,
                "sha256": sha256_file(path),
            }
    manifest = {**facts, "files": files}
    write_json(directory / MANIFEST, manifest)
    return manifest


def read_manifest(directory: Path) -> dict[str, Any] | None:
    """The manifest of a directory, or None where there is none that reads."""
    try:
        manifest = read_json(directory / MANIFEST)
    except (IntegrityError, OSError):
        return None
    files = manifest.get("files") if isinstance(manifest, dict) else None
    if not isinstance(files, dict) or not all(
        isinstance(fact, dict) and {"bytes", "sha256"} <= fact.keys() for fact in files.values()
    ):
        return None
    return dict(manifest)


def manifest_problems(directory: Path, *, hashes: bool) -> list[str]:
    """What differs between a directory and its manifest; sizes only unless `hashes`."""
    manifest = read_manifest(directory)
    if manifest is None:
        return [f"{directory}: has no readable {MANIFEST}"]
    problems = []
    for name, fact in manifest["files"].items():
        path = directory / name
        if not path.is_file() or path.is_symlink():
            problems.append(f"{path}: is missing")
        elif path.stat().st_size != fact["bytes"]:
            problems.append(f"{path}: has {path.stat().st_size} bytes, not {fact['bytes']}")
        elif hashes and sha256_file(path) != fact["sha256"]:
            problems.append(f"{path}: its sha256 is not the one in the manifest")
    return problems


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory for this process; the kernel releases the lock of a dead one.

    Raises:
        LockedError: another process holds it.
    """
    directory.mkdir(parents=True, exist_ok=True)
    lock = FileLock(directory / ".lock", timeout=0)
    owner = directory / ".lock-owner"
    try:
        lock.acquire()
    except Timeout as error:
        pid = owner.read_text() if owner.exists() else "unknown"
        raise LockedError(
            f"{directory}: in use by process {pid}. Wait for it, stop it, or choose another --out."
        ) from error
    try:
        owner.write_text(str(os.getpid()))
        yield
    finally:
        owner.unlink(missing_ok=True)
        lock.release()
