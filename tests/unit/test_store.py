"""Encoded rows on disk."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tutelage.files import write_manifest
from tutelage.records import Encoded
from tutelage.tokens.store import TokenStore, open_store, write_store

ids = st.lists(st.integers(0, 2**31 - 1), max_size=9).map(tuple)


@st.composite
def rows(draw: st.DrawFn) -> Encoded:
    completion = draw(ids)
    marks = st.lists(st.booleans(), min_size=len(completion), max_size=len(completion))
    trained = draw(st.one_of(st.just(()), marks.map(tuple)))
    # marks that are all true say what no marks say
    trained = () if all(trained) else trained
    template = draw(st.sampled_from(["", "one", "zwei"]))
    return Encoded(draw(st.text(max_size=6)), draw(ids), completion, trained, template)


@given(st.lists(rows(), max_size=12))
def test_rows_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, written: list[Encoded]
) -> None:
    folder = tmp_path_factory.mktemp("store") / "rows"
    write_store(folder, iter(written), "key")
    found = open_store(folder, "key")
    assert found is not None
    assert list(found) == written
    assert [len(e) for e in found] == [len(e) for e in written]
    assert found[1:3] == written[1:3]
    if written:
        assert found[-1] == written[-1]


def test_a_row_that_is_not_there(tmp_path: Path) -> None:
    write_store(tmp_path / "rows", [Encoded("a", (1,), (2,))], "key")
    found = TokenStore(tmp_path / "rows")
    for place in (1, -2):
        with pytest.raises(IndexError, match=f"row {place} of 1"):
            _ = found[place]


def test_what_an_older_version_wrote_is_made_again(tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    write_store(folder, [Encoded("a", (1, 2), (3, 4))], "key")
    for name in ("templates.json", "templates.bin"):
        (folder / name).unlink()
    write_manifest(folder, key="key")
    assert open_store(folder, "key") is None


def test_another_key_or_a_changed_byte_is_not_read(tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    write_store(folder, [Encoded("a", (1, 2), (3, 4))], "key")
    assert open_store(folder, "other") is None
    assert open_store(tmp_path / "none", "key") is None
    data = bytearray((folder / "ids.bin").read_bytes())
    data[0] ^= 1
    (folder / "ids.bin").write_bytes(data)
    assert open_store(folder, "key") is None


def test_a_failure_in_between_leaves_the_old_rows(tmp_path: Path) -> None:
    folder = tmp_path / "rows"
    write_store(folder, [Encoded("a", (1,), (2,))], "key")

    def broken() -> object:
        yield Encoded("b", (1,), (2,))
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write_store(folder, broken(), "key")  # type: ignore[arg-type]
    found = open_store(folder, "key")
    assert found is not None
    assert found[0].id == "a"
    assert [p.name for p in tmp_path.iterdir()] == ["rows"]


CHILD = """
import resource, sys
from pathlib import Path
from tutelage.records import Encoded
from tutelage.tokens.store import TokenStore, write_store
folder = Path(sys.argv[1])
row = tuple(range(1000, 2000))
write_store(folder, (Encoded(str(i), row, row) for i in range(4000)), "key")  # 8 million ids
resource.setrlimit(resource.RLIMIT_DATA, (256 * 2**20,) * 2)
store = TokenStore(folder)
assert sum(len(e) for e in store) == 8_000_000
print(store[3999].prompt_ids == row)
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_DATA"), reason="no limit on data")
def test_reading_takes_no_memory_for_the_rows(tmp_path: Path) -> None:
    """As Python numbers these rows are 288 MB; the process may have 256 in all."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(tmp_path / "rows")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "True", done.stderr[-500:]
