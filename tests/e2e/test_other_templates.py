"""Templates that did not come with Tutelage: rendered in the limited process, by every command."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from small_tasks import moods, run

from command import call
from tutelage.files import read_jsonl


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_templates_of_one_s_own_are_rendered_in_the_limited_process(
    folder: Path, tiny_model_dir: Path
) -> None:
    with Path("m.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("body", "mood"), *moods(60, 20)])
    Path("loop.yaml").write_text(
        "templates:\n  - id: mine/loop\n    name: loops\n    prompt: |\n      "
        "{% for a in text %}{% for b in text %}{% for c in text %}{% for d in text %}"
        "{% for e in text %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}\n"
    )
    Path("task.yaml").write_text(
        json.dumps(
            {
                "task": {
                    "name": "own",
                    "source": {"path": "m.csv"},
                    "fields": {"text": "body"},
                    "label": "mood",
                    "templates": ["loop.yaml"],
                },
                "model": str(tiny_model_dir),
            }
        )
    )
    for command in (("prepare", "task.yaml", "--out", "out"), ("preview", "task.yaml")):
        failed = call(*command).expect(2)
        assert "mine/loop" in failed.err
        assert "takes too long" in failed.err
        assert "m.csv:" in failed.err
        assert not Path("out").exists()
    planned = json.loads(call("plan", "task.yaml", "--json").expect(2).out)
    assert any("takes too long" in problem["says"] for problem in planned["problems"])
    found = call("templates", "lint", "loop.yaml", "--data", "task.yaml").expect(2)
    assert "takes too long" in " ".join(found.out.split())


PROMPTSOURCE = """
dataset: mine
templates:
  one: !Template
    answer_choices: negative ||| positive
    id: one
    jinja: "{{ text.split() | join(' ') }}\\n\\nBad or good? ||| {{ answer_choices[label] }}"
    metadata: !TemplateMetadata {choices_in_prompt: false, languages: [en], original_task: true}
    name: words
    reference: ''
"""


def test_an_imported_template_in_another_language_is_run(
    folder: Path, tiny_model_dir: Path
) -> None:
    """Its text calls a method, which our own sandbox refuses: only the child renders it."""
    with Path("m.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("body", "mood"), *moods(150, 21)])
    Path("ps.yaml").write_text(PROMPTSOURCE)
    call("templates", "import", "ps.yaml", "--out", "mine.yaml").expect(0)
    assert "dialect: promptsource" in Path("mine.yaml").read_text()
    task = {"name": "own", "source": {"path": "m.csv"}, "fields": {"text": "body"}}
    out = run(tiny_model_dir, {**task, "label": "mood", "templates": ["mine.yaml"]})
    asked = next(iter(read_jsonl(out / "data" / "test.jsonl")))["prompt"]
    assert asked.endswith("\n\nBad or good?")
    assert (out / "report.html").exists()
    assert "Bad or good?" in call("preview", "task.yaml").expect(0).out
    planned = json.loads(call("plan", "task.yaml", "--no-measure", "--json").expect(0).out)
    assert planned["would_run"]
