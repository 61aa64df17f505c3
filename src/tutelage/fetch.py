"""Package-index downloads by name, version and sha256, kept in the user cache.

The sha256 is pinned by the caller, so the index is trusted for nothing but bytes: whatever it
sends either is the promised file or is refused.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import platformdirs
import requests
from filelock import FileLock
from pypi_simple import (
    ACCEPT_JSON_PREFERRED,
    DistributionPackage,
    NoSuchProjectError,
    PyPISimple,
    UnsupportedRepoVersionError,
)

from tutelage.errors import ConfigError, IntegrityError, StorageError
from tutelage.files import fsync_path, read_json, sha256_file, write_json
from tutelage.pip_config import certificates, index_url

Progress = Callable[[int, int | None], None]

_TIMEOUT_SECONDS = 60.0
_PAUSES_SECONDS = (0.5, 2.0)  # between the tries, so three tries


def cache_dir() -> Path:
    """Folder of everything downloaded or converted; TUTELAGE_CACHE moves it."""
    moved = os.environ.get("TUTELAGE_CACHE")
    folder = Path(moved).expanduser() if moved else Path(platformdirs.user_cache_dir("tutelage"))
    return folder.absolute()


def fetch_file(
    package: str,
    version: str,
    filename: str,
    sha256: str,
    *,
    bytes: int | None = None,  # noqa: A002 - the word of the caller's pins
    progress: Progress | None = None,
) -> Path:
    """A file of a package-index release, from the user cache or the index.

    `bytes` is the size the file must have; `progress` is called with (bytes done, bytes in all
    or None). A file already in the cache is used without network access. The index is queried
    by the Simple API (PEP 691 JSON, else HTML).

    Raises:
        StorageError: no network, no such file on the index, or no disk.
        IntegrityError: size or sha256 is not the promised one; the file is deleted.
        ConfigError: a name that is not a plain file name, or pip's configuration does not parse.
    """
    wanted = _Wanted(package, version, filename, sha256.lower(), bytes)
    path = wanted.path()
    if not path.is_file():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_name(f"{path.name}.lock")):
                if not path.is_file():  # another process may have been faster
                    _download(wanted, path, progress)
        except StorageError:
            raise
        except OSError as error:
            raise StorageError(
                f"{path}: could not be written ({error.strerror or error}). Free space, or choose "
                "another cache with TUTELAGE_CACHE."
            ) from error
    _verify_cached(wanted, path)
    return path


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What the caller was promised."""

    package: str
    version: str
    filename: str
    sha256: str
    bytes: int | None

    def path(self) -> Path:
        for part in (self.package, self.version, self.filename):
            if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+!-]*", part):
                raise ConfigError(f"{part!r}: is not a package, version or file name of an index.")
        return cache_dir() / "packages" / self.package / self.version / self.filename

    def difference(self, path: Path) -> str | None:
        """How a file differs from the promise, or None."""
        size = path.stat().st_size
        if self.bytes is not None and size != self.bytes:
            return f"has {size:,} bytes, not {self.bytes:,}"
        digest = sha256_file(path)
        return None if digest == self.sha256 else f"has sha256 {digest}, not {self.sha256}"

    def unavailable(self, index: str, path: Path, why: str) -> StorageError:
        return StorageError(
            f"{self.filename} of {self.package} {self.version}: could not be fetched from "
            f"{_without_credentials(index)} ({why}). Set PIP_INDEX_URL to a package index within "
            f"reach, or put the file at {path} by hand."
        )


def _verify_cached(wanted: _Wanted, path: Path) -> None:
    """Check a cached file; a check that passed is remembered by size and modification time."""
    sidecar = path.with_name(f"{path.name}.verified.json")
    stat = path.stat()
    fact = {"sha256": wanted.sha256, "bytes": stat.st_size, "mtime_ns": stat.st_mtime_ns}
    right_size = wanted.bytes in (None, stat.st_size)
    with contextlib.suppress(IntegrityError, OSError):
        if right_size and read_json(sidecar) == fact:
            return
    difference = wanted.difference(path)
    if difference is not None:
        path.unlink(missing_ok=True)
        raise IntegrityError(f"{path}: {difference}. It was deleted; run again to fetch it anew.")
    with contextlib.suppress(StorageError):  # a read-only cache is checked every time
        write_json(sidecar, fact)


def _download(wanted: _Wanted, path: Path, progress: Progress | None) -> None:
    """Fetch to a temporary name, verify, rename."""
    index = index_url()
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    session = requests.Session()
    session.verify = certificates()
    try:
        with PyPISimple(index, session=session, accept=ACCEPT_JSON_PREFERRED) as client:
            _fetch(client, wanted, path, temporary, progress)
        difference = wanted.difference(temporary)
        if difference is not None:
            raise IntegrityError(
                f"{wanted.filename} from {_without_credentials(index)}: {difference}. It was "
                "deleted. Try another index with PIP_INDEX_URL."
            )
        fsync_path(temporary)
        temporary.replace(path)
        fsync_path(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


def _fetch(
    client: PyPISimple, wanted: _Wanted, path: Path, temporary: Path, progress: Progress | None
) -> None:
    """Download to `temporary`; trouble that may pass is tried again."""
    for pause in (*_PAUSES_SECONDS, None):
        try:
            package = _find(client, wanted, path)
            tracker = _Tracker(wanted, wanted.bytes or package.size, progress)
            client.download_package(
                package,
                temporary,
                verify=False,  # the caller's sha256 is what counts, not the index's
                progress=tracker.expecting,
                timeout=_TIMEOUT_SECONDS,
                # a server must not unpack or repack a .tar.gz on the way
                headers={"Accept-Encoding": "identity"},
            )
        except requests.RequestException as error:
            if pause is None or not _may_pass(error):
                raise wanted.unavailable(client.endpoint, path, _why(error)) from error
            time.sleep(pause)
        else:
            return


def _find(client: PyPISimple, wanted: _Wanted, path: Path) -> DistributionPackage:
    """The file's entry on the package's page of the index."""
    try:
        page = client.get_project_page(wanted.package, timeout=_TIMEOUT_SECONDS)
    except NoSuchProjectError as error:
        why = f"it has no package {wanted.package}"
        raise wanted.unavailable(client.endpoint, path, why) from error
    except requests.RequestException:
        raise
    except (ValueError, UnsupportedRepoVersionError) as error:
        why = "its answer is not that of a package index"
        raise wanted.unavailable(client.endpoint, path, why) from error
    for package in page.packages:
        if package.filename == wanted.filename:
            return package
    why = "the package is there, this file is not"
    raise wanted.unavailable(client.endpoint, path, why)


class _Tracker:
    """Reports progress, and stops a download that outgrows its size."""

    def __init__(self, wanted: _Wanted, size: int | None, progress: Progress | None) -> None:
        self.wanted = wanted
        self.size = size
        self.progress = progress
        self.done = 0

    def expecting(self, content_length: int | None) -> Self:
        self.total = self.size or content_length
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        return None

    def update(self, increment: int) -> None:
        self.done += increment
        if self.size is not None and self.done > self.size:
            raise IntegrityError(
                f"{self.wanted.filename} of {self.wanted.package} {self.wanted.version}: the index "
                f"sends more than the {self.size:,} bytes promised. Nothing was kept; try another "
                "index with PIP_INDEX_URL."
            )
        if self.progress is not None:
            self.progress(self.done, self.total)


def _may_pass(error: requests.RequestException) -> bool:
    if isinstance(error, requests.exceptions.SSLError):
        return False
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return error.response.status_code == 429 or error.response.status_code >= 500
    return isinstance(
        error,
        requests.ConnectionError | requests.Timeout | requests.exceptions.ChunkedEncodingError,
    )


def _why(error: requests.RequestException) -> str:
    """The reason in a few words; the exception's own text may carry credentials of the URL."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP status {error.response.status_code}"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not accepted; set REQUESTS_CA_BUNDLE to your certificates"
    if isinstance(error, requests.Timeout):
        return f"no answer within {_TIMEOUT_SECONDS:.0f} s"
    if isinstance(error, requests.ConnectionError):
        return "no connection"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    if isinstance(error, requests.exceptions.InvalidSchema | requests.exceptions.InvalidURL):
        return "not an http(s) address"
    return type(error).__name__


def _without_credentials(url: str) -> str:
    return re.sub(r"//[^/]*@", "//", url)
