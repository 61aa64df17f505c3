"""What README and docs tell a reader to type works as it is written there.

The commands run as documented, on a small table and with a tiny model in the place of the one
that is named, so that a command takes seconds.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from documented import SHELLS, Block, Command, blocks, commands

from command import call
from tiny import Review, tiny_reviews, write_tiny_reviews
from tutelage import Result, load_config
from tutelage.models.load import ModelSource
from tutelage.pipeline import chat, planning, preview, run
from tutelage.tasks import rows
from tutelage.tasks.archive import RatedText
from tutelage.tasks.catalog import Catalog
from tutelage.templates.library import read_templates

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
STAGES = ("run", "prepare", "baseline", "train", "evaluate", "report")
RUN = re.compile(r"runs/[\w.-]+")
TASK = """\
task:
  name: mine
  source: {path: my.csv}
  fields: {text: review}
  label: sentiment
training:
  epochs: 1
"""
UNREAD = (
    "reviews.csv",
    "test.csv",
    "test.jsonl",
    "dialogues.jsonl",
    "dev.jsonl",
    "test_first250.jsonl",
    "tweets.csv",
    "chat.jsonl",
    "movies.db",
)
MEANS = {"positive": 2.0, "neutral": 0.0, "negative": -2.0}


def _reviews() -> list[Review]:
    return tiny_reviews()[:150]


def _corpus(*_: Any, **__: Any) -> tuple[RatedText, ...]:
    """The tiny table as one of the built-in corpora."""
    return tuple(
        RatedText(row.id, MEANS[row.sentiment], row.review, (1, -1, 0, 2), row.author, number)
        for number, row in enumerate(_reviews(), 1)
    )


@pytest.fixture(scope="module")
def desk(
    tiny_run: Result, tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The reader's folder, the working directory: the files the pages speak of."""

    def find(name: str, *_: Any) -> ModelSource:
        return ModelSource(name, tiny_model_dir, name)

    folder = tmp_path_factory.mktemp("desk")
    write_tiny_reviews(folder / "my.csv", _reviews())
    write_tiny_reviews(folder / "new.csv", _reviews()[:3])
    for name in UNREAD:
        (folder / name).write_text("")  # pages speak of them and never read them
    (folder / "task.yaml").write_text(TASK)
    shutil.copytree(tiny_run.path, folder / "runs" / "mine")
    with pytest.MonkeyPatch.context() as patch:
        for module in (run, preview, chat, planning):
            patch.setattr(module, "find_model", find)
        patch.setattr(rows, "read_corpus", _corpus)
        patch.chdir(folder)
        yield folder


def _type(command: Command, desk: Path, finished: Path) -> None:
    """Run a command; a run that it looks at is there and finished."""
    words = list(command.words)
    looked_at = [w for w in words[1:2] if RUN.fullmatch(w)]
    for name in looked_at:
        if not (desk / name).exists():
            shutil.copytree(finished, desk / name)
    if words[:1] and words[0] in STAGES and not looked_at and "training.epochs" not in str(words):
        words += ["--set", "training.epochs=1"]
    done = call(*words, stdin=command.stdin or "/quit\n")
    assert done.code == 0, f"{command}\nexit code {done.code}\n{done.err}"


def _shown(page: Path, *languages: str) -> list[Block]:
    return [block for block in blocks(page) if block.language in languages]


def _with(*languages: str) -> Any:
    """A test for every page that has such blocks."""
    pages = [page for page in PAGES if _shown(page, *languages)]
    return pytest.mark.parametrize("page", pages, ids=lambda page: page.name)


@_with(*SHELLS)
def test_commands(page: Path, desk: Path, tiny_run: Result) -> None:
    for block in _shown(page, *SHELLS):
        for command in commands(block):
            _type(command, desk, tiny_run.path)


@_with("python")
def test_python(page: Path, desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Blocks with the line `# runs`."""
    for block in _shown(page, "python"):
        compile(block.text, block.where, "exec")
        if "# runs" in block.lines:
            # The line numbers of a traceback are those of the page.
            code = compile("\n" * (block.line - 1) + block.text, str(page), "exec")
            exec(code, {"__name__": "__main__"})


@_with("yaml")
def test_yaml(page: Path, desk: Path) -> None:
    """Configurations, sections of them, and files of templates are accepted."""
    for block in _shown(page, "yaml"):
        first = next((line for line in block.lines if line and not line.startswith("#")), "")
        file = desk / f"{page.stem}-{block.line}.yaml"
        file.write_text(block.text, encoding="utf-8")
        if first.startswith("templates:"):
            assert read_templates(file)
        elif first.startswith(("task:", "model:", "split:")):
            if not any(line.startswith("task:") for line in block.lines):
                file.write_text(TASK.partition("training:")[0] + block.text, encoding="utf-8")
            assert load_config(str(file), catalog=Catalog())


def test_the_readme_shows_how_to_run_ones_own_table() -> None:
    found = [c for b in _shown(ROOT / "README.md", *SHELLS) for c in commands(b)]
    own = [c for c in found if c.words[0] == "run" and "--label" in c.words]
    assert own, "README.md has no `tutelage run my.csv --label ...` in a console block"
    assert {"show", "predict"} <= {c.words[0] for c in found}


@pytest.mark.parametrize(
    "words",
    [
        ("run", "my.csv", "--text", "review", "--labels", "sentiment"),
        ("train", "task.yaml", "--set", "training.epoch=1"),
        ("predict", "runs/mine", "other.csv"),
        ("shows", "runs/mine"),
        ("run", "my.csv", "--text", "review"),
    ],
)
def test_a_command_that_does_not_work_is_found(
    words: tuple[str, ...], desk: Path, tiny_run: Result
) -> None:
    with pytest.raises(AssertionError, match=r"page\.md:7: tutelage "):
        _type(Command("page.md:7", words), desk, tiny_run.path)


PAGE = """
# Title

    tutelage indented is prose

```console
$ tutelage run my.csv \\
>     --label sentiment   # a comment
[1/5] prepare
$ make demo
$ tutelage show runs/mine --json > out.json && tutelage show runs/other
```

1. In a list:

   ~~~sh
   # tutelage nothing
   TUTELAGE_CACHE=x tutelage preview 'my file.csv' --set "baselines.shots=[0, 1]"
   echo -e "great\\n/quit" | .venv/bin/tutelage chat runs/mine
   ~~~

```text
$ tutelage not a command
```
"""


def test_the_collector_reads_what_a_reader_reads(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    found = list(blocks(page))
    assert [block.language for block in found] == ["console", "sh", "text"]
    typed = [c for block in found if block.language in SHELLS for c in commands(block)]
    assert [(c.where, c.words) for c in typed] == [
        ("page.md:7", ("run", "my.csv", "--label", "sentiment")),
        ("page.md:11", ("show", "runs/mine", "--json")),
        ("page.md:11", ("show", "runs/other")),
        ("page.md:18", ("preview", "my file.csv", "--set", "baselines.shots=[0, 1]")),
        ("page.md:19", ("chat", "runs/mine")),
    ]
    assert [c.stdin for c in typed] == ["", "", "", "", "great\n/quit\n"]
