import io
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from tutelage.errors import ConfigError
from tutelage.yamlfile import MAX_BYTES, parse, parse_scalar, read


def test_scalars_stay_what_was_typed() -> None:
    words = [
        "no",
        "yes",
        "on",
        "off",
        "012",
        "1:30",
        "2024-01-02",
        "~",
        "null",
        "true",
        "1.10",
        "0x1F",
        "1_000",
        "'7'",
        "=",
    ]
    document = parse("labels: [" + ", ".join(words) + "]", "a.yaml")
    assert document.data == {"labels": [word.strip("'") for word in words]}


def test_a_plain_null_is_none_as_a_value_and_text_as_a_key_or_item() -> None:
    text = "a: ~\nb:\nc: null\nd: '~'\ne: \"\"\n~: k\nf:\n- ~\n-\n"
    assert parse(text, "a.yaml").data == {
        "a": None,
        "b": None,
        "c": None,
        "d": "~",
        "e": "",
        "~": "k",
        "f": ["~", ""],
    }


def test_lines_of_keys_and_items() -> None:
    document = parse("a:\n  b: 1\n  c:\n  - x\n  - {y: 2,\n     z: 3}\n", "a.yaml")
    assert document.lines == {
        ("a",): 1,
        ("a", "b"): 2,
        ("a", "c"): 3,
        ("a", "c", 0): 4,
        ("a", "c", 1): 5,
        ("a", "c", 1, "y"): 5,
        ("a", "c", 1, "z"): 6,
    }
    assert document.line(("a", "missing", "deeper")) == 1
    assert document.line(("nowhere",)) == 1


def test_what_is_refused_is_listed_with_its_lines() -> None:
    text = "a: &x 1\nb: !!int '3'\n? [k]\n: 2\n<<: *x\na: 5\nc: !mine {d: 1, d: 2}\n"
    with pytest.raises(ConfigError) as caught:
        parse(text, "bad.yaml")
    assert str(caught.value).splitlines() == [
        "bad.yaml:1: `&x` is an anchor. Write values out where used.",
        "bad.yaml:2: the tag `!!int` is not supported. Remove it.",
        "bad.yaml:3: a key is a list or a mapping. Keys are plain text.",
        "bad.yaml:5: `<<` is a merge key. Write the keys out.",
        "bad.yaml:5: `*x` is an alias. Write the value out.",
        "bad.yaml:6: the key `a` is already there in line 1. Remove one.",
        "bad.yaml:7: the tag `!mine` is not supported. Remove it.",
        "bad.yaml:7: the key `d` is already there in line 7. Remove one.",
    ]


def test_an_alias_bomb_is_refused_before_it_grows() -> None:
    bomb = "a0: &a0 [x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 30)
    )
    with pytest.raises(ConfigError, match="anchor"):
        parse(bomb, "bomb.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\n---\nb: 2\n", "a.yaml:2: a second document starts here. Keep one per file."),
        ("a:\n\tb: 1\n", "a.yaml:2: is not valid YAML"),
        ("a: 'x", "a.yaml:1: is not valid YAML"),
        ("a: 1\nb: \x07\n", r"a.yaml:2: holds a character that YAML does not allow \(U\+0007\)"),
        ("[" * 100_000, "a.yaml:1: is nested deeper than 20 levels"),
    ],
)
def test_broken_yaml(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse(text, "a.yaml")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.yaml: cannot be read \(No such file"):
        read(tmp_path / "gone.yaml")
    (tmp_path / "latin.yaml").write_bytes("a: é".encode("latin-1"))
    with pytest.raises(ConfigError, match=r"latin\.yaml: is not UTF-8 \(byte 3\)"):
        read(tmp_path / "latin.yaml")
    (tmp_path / "big.yaml").write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(ConfigError, match="too large"):
        read(tmp_path / "big.yaml")
    (tmp_path / "bom.yaml").write_bytes(b"\xef\xbb\xbfa: b")
    assert read(tmp_path / "bom.yaml").data == {"a": "b"}
    (tmp_path / "empty.yaml").write_text("# nothing\n")
    assert read(tmp_path / "empty.yaml").data is None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", "2"),
        (" no ", "no"),
        ("", None),
        ("null", None),
        ("~", None),
        ("a: b", "a: b"),
        ("#1", "#1"),
        ("@x", "@x"),
        ("C:\\data", "C:\\data"),
        ("[no, 012, ~]", ["no", "012", "~"]),
        ("{text: review}", {"text": "review"}),
        ("'null'", "null"),
        ('"a\\tb"', "a\tb"),
    ],
)
def test_values_of_set(text: str, value: object) -> None:
    assert parse_scalar(text) == value


@pytest.mark.parametrize("text", ["[a", "[a] b", "{a: *x}", "'a"])
def test_values_of_set_that_do_not_parse(text: str) -> None:
    with pytest.raises(ConfigError, match="value:1: "):
        parse_scalar(text)


_TREES = st.recursive(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abcno019~", max_size=4), inner)
    ),
    max_leaves=8,
)


@settings(max_examples=25, deadline=None)
@given(_TREES)
def test_quoted_text_reads_as_a_reference_parser_reads_it(tree: object) -> None:
    out = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_style = '"'  # nothing plain: the reference then guesses no types either
    yaml.dump(tree, out)
    text = out.getvalue()
    assert parse(text, "a.yaml").data == YAML(typ="safe", pure=True).load(text) == tree
