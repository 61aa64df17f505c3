"""Rating corpora: a tiny archive of the real layout, already in the cache."""

from __future__ import annotations

import hashlib
import io
import tarfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from tutelage.errors import InputError, IntegrityError
from tutelage.fetch import cache_dir
from tutelage.tasks.archive import RatedText, read_corpus
from tutelage.tasks.schema import ArchiveSource

INNER = "toy-1.0/extra/corpora.tar.gz"
TEXTS = "corpora/toy_GroundTruth.txt"
RATINGS = "corpora/toy_anonDataRatings.txt"

Members = Mapping[str, bytes | None]

GOOD_TEXTS = '1_1\t-0.9\tbad &amp; sad \r\n1_2\t0.2\tcafé \u2028 \ttab\r\n2_1\t2.50000001\t"fine"'
GOOD_RATINGS = "\ufeff2_1\t2.5\t0.5\t[2, 3]\r\n1_1\t-0.9\t0.3\t[-1, -1]\r\n1_2\t0.2\t0\t[0, 0, 1]"


def _tar(members: Members) -> bytes:
    """A gzipped tar file; None makes a symbolic link."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            if content is None:
                member.type, member.linkname = tarfile.SYMTYPE, "elsewhere"
            else:
                member.size = len(content)
            tar.addfile(member, io.BytesIO(content or b""))
    return buffer.getvalue()


def _source(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    *,
    outer: Members | bytes | None = None,
    inner: Members | None = None,
    grouped: bool = True,
) -> ArchiveSource:
    monkeypatch.setenv("TUTELAGE_CACHE", str(tmp_path))
    good = {TEXTS: GOOD_TEXTS.encode(), RATINGS: GOOD_RATINGS.encode()}
    package = {"toy-1.0/setup.py": b"raise SystemExit", INNER: _tar({**good, **(inner or {})})}
    data = outer if isinstance(outer, bytes) else _tar({**package, **(outer or {})})
    path = cache_dir() / "packages" / "toy" / "1.0" / "toy-1.0.tar.gz"
    path.parent.mkdir(parents=True)
    path.write_bytes(data)
    return ArchiveSource(
        package="toy",
        version="1.0",
        filename=path.name,
        sha256=hashlib.sha256(data).hexdigest(),
        inner=INNER,
        texts=TEXTS,
        ratings=RATINGS,
        grouped=grouped,
    )


def test_texts_and_ratings_by_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = _source(monkeypatch, tmp_path)
    assert read_corpus(source) == (
        RatedText("1_1", -0.9, "bad &amp; sad ", (-1, -1), "1", 1),
        RatedText("1_2", 0.2, "café \u2028 \ttab", (0, 0, 1), "1", 2),
        RatedText("2_1", 2.50000001, '"fine"', (2, 3), "2", 3),
    )
    names = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert names == {"toy-1.0.tar.gz", "toy-1.0.tar.gz.verified.json"}


def test_without_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = read_corpus(_source(monkeypatch, tmp_path, grouped=False))
    assert {rated.group for rated in corpus} == {None}


@pytest.mark.parametrize(
    ("inner", "says"),
    [
        ({TEXTS: b"1_1\t0.1\n"}, "GroundTruth.txt:1: has 2 cells, not 3"),
        ({TEXTS: b"1_1\tmild\ttext"}, "GroundTruth.txt:1: the mean rating 'mild'"),
        ({TEXTS: b"1_1\tinf\ttext"}, "the mean rating 'inf'"),
        ({TEXTS: b"1_1\t0\ta\n1_1\t0\tb"}, "GroundTruth.txt:2: id '1_1' is also on line 1"),
        ({TEXTS: b"9_9\t0\ta"}, "id '9_9' has no ratings"),
        ({TEXTS: b"1_1\t0\t\xff"}, "byte 6 is not UTF-8"),
        ({RATINGS: b"1_1\t0\t0\t[1, 2"}, "anonDataRatings.txt:1: '\\[1, 2' is not a list"),
        ({RATINGS: b"1_1\t0\t0\t[]"}, "is not a list of whole numbers"),
        ({RATINGS: b"1_1\t0\t0\t[1.5]"}, "is not a list of whole numbers"),
        ({RATINGS: b"1_1\t0\t0\t[true]"}, "is not a list of whole numbers"),
        ({TEXTS: None}, "is not a regular file"),
    ],
)
def test_another_layout(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    inner: Members,
    says: str,
) -> None:
    with pytest.raises(InputError, match=says):
        read_corpus(_source(monkeypatch, tmp_path, inner=inner))


def test_members_by_exact_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = _source(monkeypatch, tmp_path)
    other = source.model_copy(update={"texts": TEXTS.upper()})
    with pytest.raises(InputError, match=r"has no member .*Did you mean 'corpora/toy_Ground"):
        read_corpus(other)
    other = source.model_copy(update={"inner": "corpora.tar.gz"})
    with pytest.raises(InputError, match=r"has no member 'corpora\.tar\.gz'"):
        read_corpus(other)


def test_a_member_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tutelage.tasks.archive._MEMBER_LIMIT", 1000)
    inner = {TEXTS: b"1_1\t0\t" + b"x" * 1000}  # small as long as it is packed
    with pytest.raises(InputError, match=r"GroundTruth.txt' has 1,006 bytes, more than the 1,000"):
        read_corpus(_source(monkeypatch, tmp_path, inner=inner))


@pytest.mark.parametrize("cut", [0, 20, -30])
def test_a_damaged_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int) -> None:
    inner = _tar({TEXTS: GOOD_TEXTS.encode() * 50, RATINGS: b""})[:cut]
    with pytest.raises(IntegrityError, match="cannot be read as an archive"):
        read_corpus(_source(monkeypatch, tmp_path, outer={INNER: inner}))


def test_no_archive_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(IntegrityError, match="cannot be read as an archive"):
        read_corpus(_source(monkeypatch, tmp_path, outer=b"<html>not a package</html>"))


def test_other_bytes_than_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = _source(monkeypatch, tmp_path).model_copy(update={"sha256": "0" * 64})
    with pytest.raises(IntegrityError, match="not 0000"):
        read_corpus(source)
