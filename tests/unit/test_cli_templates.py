"""`tutelage templates`: what its commands print, and how they end."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from command import call
from tutelage.templates.lint_finding import RULES

GOOD = "templates:\n- id: my/one\n  name: one\n  prompt: 'Is this {{ labels_text }}? {{ text }}'\n"
SLIP = GOOD + "- id: my/two\n  name: two\n  prompt: 'So:  {{ text }}'\n"
LEAK = GOOD + "- id: my/two\n  name: two\n  prompt: '{{ text }}<|im_end|>'\n"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = [f"{i},text number {i},{'yes' if i % 2 else 'no'}\n" for i in range(30)]
    (tmp_path / "my.csv").write_text("id,review,good\n" + "".join(rows))
    for name, text in (("good", GOOD), ("slip", SLIP), ("leak", LEAK)):
        (tmp_path / f"{name}.yaml").write_text(text)
    return tmp_path


@pytest.mark.parametrize("name", ["list", "show", "lint", "try", "import"])
def test_every_command_has_help_with_an_example(name: str) -> None:
    out = call("templates", name, "--help").expect(0).out
    assert "Usage" in out
    assert f"tutelage templates {name}" in " ".join(out.split())


def test_list_of_families_and_of_one() -> None:
    out = call("templates", "list").expect(0).out
    assert "premise, hypothesis" in out
    out = call("templates", "list", "nli").expect(0).out
    assert "nli/relate" in out
    assert "held out" in out
    out = call("templates", "list", "sentiment/w*").expect(2).err
    assert out.startswith("tutelage: there is no template 'sentiment/w*'.")
    assert "Did you mean 'nli'" in call("templates", "list", "nlii").expect(2).err


def test_show_prints_yaml_that_can_be_used(desk: Path) -> None:
    out = call("templates", "show", "sentiment/question").expect(0).out
    (desk / "copy.yaml").write_text(out)
    assert "sentiment/question" in call("templates", "list", "copy.yaml").expect(0).out
    assert call("templates", "show", "copy.yaml").expect(0).out == out


def test_imported_templates_are_listed_and_shown_as_they_are(desk: Path) -> None:
    more = "- id: my/far\n  name: far\n  prompt: '{{ text.split() }} ||| a'\n"
    more += "  dialect: promptsource\n"
    (desk / "far.yaml").write_text(GOOD + more)
    assert "{{ text.split() }}" in call("templates", "list", "far.yaml").expect(0).out
    assert "dialect: promptsource" in call("templates", "show", "far.yaml").expect(0).out
    assert "only its import checks it" in call("templates", "lint", "far.yaml").expect(0).out
    command = ("templates", "try", "far.yaml", "--field", "text=so good", "--labels", "a,b")
    assert "['so', 'good']" in call(*command, "--label", "a").out


def test_lint_of_the_library_and_of_files(desk: Path) -> None:
    assert "nothing to find fault with" in call("templates", "lint").expect(0).out
    assert "2 templates" not in call("templates", "lint", "good.yaml").expect(0).out
    out = call("templates", "lint", "slip.yaml", "nli").expect(0).out
    assert "0 errors, 1 warning" in out
    assert "doubled-space" in out
    out = call("templates", "lint", "leak.yaml").expect(2).out
    assert "special-token" in out
    assert "1 error, 0 warnings" in out


def test_lint_on_rows(desk: Path) -> None:
    command = ("templates", "lint", "slip.yaml", "--data", "my.csv", "--text", "review")
    out = call(*command, "--label", "good").expect(0).out
    assert "hidden-choice" in out
    assert "of 30 rows" in out
    out = call(*command, "--label", "good", "--rows", "7").expect(0).out
    assert "of 7 rows" in out
    call(*command, "--label", "god").expect(2)


def test_lint_as_json(desk: Path) -> None:
    done = call("templates", "lint", "leak.yaml", "slip.yaml", "--json").expect(2)
    report = json.loads(done.out)
    assert (report["templates"], report["errors"] > 0) == (4, True)
    assert report["errors"] + report["warnings"] == len(report["findings"])
    first = report["findings"][0]
    assert first["severity"] == RULES[first["rule"]][0] == "error"
    (desk / "bad.yaml").write_text("templates:\n- id: my/x\n  name: x\n  promt: y\n")
    done = call("templates", "lint", "bad.yaml", "--json").expect(2)
    messages = [finding["message"] for finding in json.loads(done.out)["findings"]]
    assert messages[1].startswith("bad.yaml:4:templates.0.promt: there is no such key. Did you")


def test_lint_rules() -> None:
    out = call("templates", "lint", "--rules").expect(0).out
    assert all(rule in out for rule in RULES)


def test_try_with_a_row_made_up() -> None:
    command = ("templates", "try", "sentiment/question", "--field", "text=a = [b]")
    out = call(*command, "--labels", "bad, good", "--label", "good").expect(0).out
    assert (
        "Is the sentiment of this text bad or good?\n\na = [b]\n\ngood\nother options: bad" in out
    )
    assert "Give them, such as --labels yes,no" in call(*command).expect(2).err
    said = call(*command, "--labels", "bad,good", "--label", "god").expect(2).err
    assert "--label god: is not among bad, good. Did you mean 'good'?" in said
    assert "is not NAME=VALUE" in call(*command[:3], "--field", "text").expect(2).err
    assert "give either --data or --field" in call(*command[:3]).expect(2).err


def test_try_with_text_answers_and_inverted() -> None:
    command = ("templates", "try", "open-qa/brief", "--field", "question=Why?")
    assert "\nBecause.\n" in call(*command, "--label", "Because.").expect(0).out
    assert "answers with a text. Give it with --label" in call(*command).expect(2).err
    command = ("templates", "try", "sentiment/write", "--field", "text=Hooray", "--label", "happy")
    out = call(*command).expect(0).out
    assert "Write a short text whose sentiment is happy.\n\nHooray\n" in out


def test_try_on_rows_of_a_table(desk: Path) -> None:
    command = ("templates", "try", "good.yaml", "--data", "my.csv", "--text", "review")
    out = call(*command, "--label", "good", "--rows", "3").expect(0).out
    assert out.count("my/one (training)") == 3
    assert "Is this no or yes? text number 2\n\nno\nother options: yes" in out


def test_no_colour_where_none_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    colour = re.compile(r"\x1b\[[\d;]*[34]\dm")
    command = ("templates", "try", "open-qa/brief", "--field", "question=Why?", "--label", "x")
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert colour.search(call(*command).expect(0).out)
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colour.search(call(*command).expect(0).out)
