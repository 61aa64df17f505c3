"""Quotations of benchmarks: exact runs of words, found in any form of file."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tutelage.data.benchmarks import find_quotes, quoted
from tutelage.errors import ConfigError, InputError
from tutelage.records import Row, Turn

WORDS = [f"w{i}" for i in range(30)]


def row(number: int, text: object, **more: object) -> Row:
    return Row(str(number), {"text": text}, "a", f"t:{number}", **more)  # type: ignore[arg-type]


def runs(words: list[str], length: int) -> set[tuple[str, ...]]:
    return {tuple(words[i : i + length]) for i in range(len(words) - length + 1)}


@pytest.mark.parametrize("length", [5, 13])
def test_quotes_are_those_of_brute_force(tmp_path: Path, length: int) -> None:
    rng = random.Random(length)
    tests = [rng.choices(WORDS, k=rng.randint(1, 40)) for _ in range(40)]
    texts = []
    for _ in range(300):
        words = rng.choices(WORDS, k=rng.randint(1, 40))
        if rng.random() < 0.5:
            source = rng.choice(tests)
            start = rng.randrange(len(source))
            words[rng.randrange(len(words)) :] = source[start : start + rng.randint(3, 20)]
        texts.append(words)
    path = tmp_path / "b.jsonl"
    path.write_text("".join(json.dumps({"q": " ".join(t)}) + "\n" for t in tests))
    known = set().union(*(runs(t, length) for t in tests))
    shorts = {tuple(t) for t in tests if 4 <= len(t) < length}
    expected = {
        i
        for i, words in enumerate(texts)
        if (runs(words, length) & known if len(words) >= length else tuple(words) in shorts)
    }
    assert 10 < len(expected) < 290
    rows = [row(i, " ".join(words)) for i, words in enumerate(texts)]
    ((benchmark, hits),) = find_quotes(rows, [str(path)], length)
    assert set(hits) == expected
    assert len(benchmark.grams) == len(known)
    for place, words in hits.items():
        assert words in " ".join(texts[place])


def test_form_case_and_punctuation_do_not_hide_a_quote(tmp_path: Path) -> None:
    path = tmp_path / "b.txt"
    path.write_text("One two, three\nfour five: six seven. Eight nine ten, eleven twelve thirteen")
    said = "well - ONE TWO three four «five» six seven eight nine ten eleven twelve thirteen, no?"
    rows = [row(1, said), row(2, said.replace("seven", "8")), row(3, ["x", {"y": said}])]
    rows.append(row(4, "x", turns=(Turn("user", said),)))
    rows.append(row(5, "x", answers=(said,)))
    ((_, hits),) = find_quotes(rows, [str(path)], 13)
    assert sorted(hits) == [0, 2, 3, 4]


def test_short_texts_count_as_a_whole_and_labels_never(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    path.write_text(json.dumps([{"q": "Where is the lens?", "a": "yes"}]))
    rows = [row(1, "where is THE lens"), row(2, "Where is the lens now"), row(3, "yes")]
    ((benchmark, hits),) = find_quotes(rows, [str(path)], 13)
    assert (benchmark.texts, hits) == (2, {0: "where is the lens"})


def test_chinese_is_compared_by_characters(tmp_path: Path) -> None:
    path = tmp_path / "b.txt"
    path.write_text("这台相机的镜头非常清晰但是电池不好用", encoding="utf-8")
    rows = [
        row(1, "我觉得这台相机的镜头非常清晰但是电池不好用。"),
        row(2, "镜头不好用但是电池非常清晰的这台相机"),
    ]
    ((_, hits),) = find_quotes(rows, [str(path)], 13)
    assert list(hits) == [0]


def test_counts_per_split_and_examples(tmp_path: Path) -> None:
    path = tmp_path / "b.txt"
    path.write_text("\ufeffjust these four words\n", encoding="utf-8")
    rows = [row(i, "just these four words") for i in range(8)]
    splits = ["train"] * 3 + ["test"] * 4 + [None]
    (told,) = quoted(find_quotes(rows, [str(path)], 13), rows, splits)
    assert told.rows == {"train": 3, "test": 4}
    assert len(told.examples) == 5
    assert told.examples[0] == ("t:0", "just these four words")


@pytest.mark.parametrize(
    ("name", "content", "error", "told"),
    [
        ("none.txt", None, ConfigError, "none.txt cannot be read"),
        ("a.txt", "latin \xe9".encode("latin-1"), InputError, "is not UTF-8 text"),
        ("a.json", b"{", InputError, "is not UTF-8 JSON"),
        ("a.jsonl", b'{"a": 1}\n{"a"\n', InputError, "a.jsonl:2: is not JSON"),
        ("a.jsonl", b'"' + b"\xff" * 3, InputError, "is not UTF-8 JSON"),
    ],
)
def test_bad_files_are_named(
    tmp_path: Path, name: str, content: bytes | None, error: type[Exception], told: str
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(error, match=told):
        find_quotes([row(1, "x")], [str(path)], 13)
