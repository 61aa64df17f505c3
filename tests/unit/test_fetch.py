"""Downloads from a Simple API on 127.0.0.1."""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tutelage import fetch
from tutelage.errors import ConfigError, IntegrityError, StorageError

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
NAME = ("toy-corpus", "1.0", "toy_corpus-1.0.tar.gz")


class Index:
    """A package index with one file; counts requests, and fails the first of a kind on demand."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        self.failing: dict[str, list[int]] = {}
        self.content = CONTENT
        self.page: bytes | None = None
        index = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                kind = "page" if self.path.startswith("/simple/") else "file"
                index.requests[kind] += 1
                statuses = index.failing.get(kind, [])
                if statuses:
                    self.send_error(statuses.pop(0))
                elif self.path == "/simple/toy-corpus/":
                    self._send(index.listing(), "application/vnd.pypi.simple.v1+json")
                elif self.path == f"/files/{NAME[2]}":
                    self._send(index.content, "application/octet-stream")
                else:
                    self.send_error(404)

            def _send(self, body: bytes, kind: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.host = f"127.0.0.1:{self.server.server_port}"
        self.url = f"http://{self.host}/simple"

    def listing(self) -> bytes:
        if self.page is not None:
            return self.page
        file = {"filename": NAME[2], "url": f"/files/{NAME[2]}", "hashes": {}}
        page = {"meta": {"api-version": "1.0"}, "name": NAME[0], "files": [file]}
        return json.dumps(page).encode()


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    index = Index()
    monkeypatch.setenv("TUTELAGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(fetch, "_PAUSES_SECONDS", (0.0, 0.0))
    thread = threading.Thread(target=index.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield index
    index.server.shutdown()
    thread.join()
    index.server.server_close()


def _files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file()}


def test_fetched_once_then_offline(index: Index) -> None:
    path = fetch.fetch_file(*NAME, SHA256, bytes=len(CONTENT))
    assert path.read_bytes() == CONTENT
    assert path.is_relative_to(fetch.cache_dir())
    index.failing = {"page": [500] * 9, "file": [500] * 9}
    assert fetch.fetch_file(*NAME, SHA256.upper()) == path
    assert index.requests == {"page": 1, "file": 1}


def test_progress_ends_at_the_size(index: Index) -> None:
    seen: list[tuple[int, int | None]] = []
    fetch.fetch_file(*NAME, SHA256, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})


@pytest.mark.parametrize("kind", ["page", "file"])
def test_passing_trouble_is_tried_three_times(index: Index, kind: str) -> None:
    index.failing = {kind: [503, 429]}
    assert fetch.fetch_file(*NAME, SHA256).read_bytes() == CONTENT
    assert index.requests[kind] == 3


def test_lasting_trouble_is_an_error(index: Index) -> None:
    index.failing = {"file": [503, 503, 503]}
    with pytest.raises(StorageError, match="HTTP status 503"):
        fetch.fetch_file(*NAME, SHA256)
    assert index.requests["file"] == 3
    assert _files(fetch.cache_dir()) <= {f"{NAME[2]}.lock"}


def test_no_connection(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://someone:secret@127.0.0.1:9/simple/")
    with pytest.raises(StorageError) as caught:
        fetch.fetch_file(*NAME, SHA256)
    message = str(caught.value)
    expected = fetch.cache_dir() / "packages" / Path(*NAME)
    for part in (*NAME, "http://127.0.0.1:9/simple/", "PIP_INDEX_URL", str(expected)):
        assert part in message
    assert "secret" not in message
    assert not isinstance(caught.value, IntegrityError)


@pytest.mark.parametrize(
    ("package", "filename", "why"),
    [("other", NAME[2], "no package other"), (NAME[0], "other-1.0.tar.gz", "this file is not")],
)
def test_not_on_the_index(index: Index, package: str, filename: str, why: str) -> None:
    with pytest.raises(StorageError, match=why):
        fetch.fetch_file(package, "1.0", filename, SHA256)
    assert index.requests["page"] == 1


@pytest.mark.parametrize("page", [b"{}", b"not json", b'{"meta": {"api-version": "9.0"}}'])
def test_an_answer_that_is_no_index(index: Index, page: bytes) -> None:
    index.page = page
    with pytest.raises(StorageError, match="could not be fetched from"):
        fetch.fetch_file(*NAME, SHA256)


@pytest.mark.parametrize("address", ["file:///simple", "nonsense", "http://[1"])
def test_an_index_that_is_no_web_address(
    index: Index, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", address)
    with pytest.raises(StorageError, match="could not be fetched from"):
        fetch.fetch_file(*NAME, SHA256)


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"!", CONTENT[::-1], b""])
@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_other_bytes_are_refused(index: Index, content: bytes, size: int | None) -> None:
    index.content = content
    with pytest.raises(IntegrityError):
        fetch.fetch_file(*NAME, SHA256, bytes=size)
    assert _files(fetch.cache_dir()) <= {f"{NAME[2]}.lock"}


def test_a_damaged_cache_is_noticed_and_deleted(index: Index) -> None:
    path = fetch.fetch_file(*NAME, SHA256)
    path.write_bytes(CONTENT[::-1] + b"more")
    with pytest.raises(IntegrityError, match="deleted"):
        fetch.fetch_file(*NAME, SHA256)
    assert not path.exists()
    assert fetch.fetch_file(*NAME, SHA256).read_bytes() == CONTENT


def test_a_file_put_there_by_hand(index: Index) -> None:
    path = fetch.cache_dir() / "packages" / Path(*NAME)
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    assert fetch.fetch_file(*NAME, SHA256, bytes=len(CONTENT)) == path
    assert not index.requests


def test_the_check_is_remembered(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fetch.fetch_file(*NAME, SHA256)
    hashed: list[Path] = []

    def counting(path: Path) -> str:
        hashed.append(path)
        return hashlib.sha256(path.read_bytes()).hexdigest()

    monkeypatch.setattr(fetch, "sha256_file", counting)
    fetch.fetch_file(*NAME, SHA256)
    assert hashed == []
    path.touch()
    fetch.fetch_file(*NAME, SHA256)
    assert hashed == [path]
    # a pass for one hash is none for another
    with pytest.raises(IntegrityError):
        fetch.fetch_file(*NAME, "0" * 64)


def test_two_at_once_fetch_once(index: Index) -> None:
    found: list[Path] = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch.fetch_file(*NAME, SHA256)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert len(set(found)) == 1
    assert index.requests["file"] == 1


@pytest.mark.parametrize("bad", ["../x", "a/b", "a\\b", "..", ""])
def test_names_stay_inside_the_cache(index: Index, bad: str) -> None:
    with pytest.raises(ConfigError, match="is not a package"):
        fetch.fetch_file("toy", "1.0", bad, SHA256)


def test_a_cache_that_cannot_be_written(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    blocker = fetch.cache_dir().parent / "blocker"
    blocker.write_text("a file where a folder should be")
    monkeypatch.setenv("TUTELAGE_CACHE", str(blocker))
    with pytest.raises(StorageError, match="TUTELAGE_CACHE"):
        fetch.fetch_file(*NAME, SHA256)
