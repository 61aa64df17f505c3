"""All 2,085 templates of the shared PromptSource files: the goals of the import."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from command import call
from tutelage.templates.child import Child
from tutelage.templates.export import dump_templates
from tutelage.templates.importers import promptsource
from tutelage.templates.importers.importing import import_templates
from tutelage.templates.importers.report import by_file
from tutelage.templates.library import is_template_path
from tutelage.templates.schema import Template
from tutelage.yamlfile import read

ROOT = Path(__file__).parents[2]
SHARED = Path(os.environ.get("TUTELAGE_SHARED", ROOT.parent / "shared")) / "data" / "promptsource"
PAGE = ROOT / "docs" / "importing.md"

pytestmark = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the shared PromptSource files are not here"
)


def test_the_goals_and_the_list_in_the_docs(tmp_path: Path) -> None:
    began = time.process_time(), os.times().children_user
    done = call("templates", "import", SHARED, "--json", "--out", tmp_path / "out").expect(0)
    cpu = time.process_time() - began[0] + os.times().children_user - began[1]
    counts = json.loads(done.out)
    assert counts["total"] == 2085
    assert counts["parsed"] >= 0.99 * counts["total"]
    assert counts["rendered"] >= 0.97 * counts["total"]
    assert cpu < 60, f"{cpu:.0f} s of processor time"

    page = PAGE.read_text("utf-8")
    missing = [
        (bad["file"], bad["name"])
        for bad in counts["exceptions"]
        if f"`{bad['file'].removesuffix('/templates.yaml')}`" not in page
        or " ".join(bad["name"].split()) not in page
    ]
    assert not missing, "docs/importing.md lists every exception"
    shown = f"| {counts['total']} | {counts['parsed']} | {counts['rendered']} | {counts['clean']} |"
    assert shown in page

    files = sorted((tmp_path / "out").rglob("*.yaml"))
    assert len(files) == 279
    for file in files[::20]:
        assert is_template_path(str(file))
        assert [Template.model_validate(item) for item in read(file).data["templates"]]


def test_every_file_is_written_back_as_the_same_data(tmp_path: Path) -> None:
    """Import, write in the format of the project, import again; PyYAML reads both files alike.

    Keys that no importer knows are put into every file first, and must come back too.
    """
    files = sorted(path.relative_to(SHARED) for path in SHARED.rglob("*.yaml"))
    assert len(files) == 279
    for file in files:
        data = yaml.load((SHARED / file).read_text("utf-8"), PlainLoader)
        data["of_the_file"] = {"kept": [file.as_posix(), None, 1.5, True]}
        for key, template in data["templates"].items():
            template["of_the_template"] = {"nested": {key: ["a: b", "- c", ""]}}
            template["metadata"]["of_the_metadata"] = "|||"
        _write(tmp_path / "given" / file, yaml.dump(data, Dumper=PlainDumper, sort_keys=False))
    with Child() as child:
        first = import_templates(tmp_path / "given", child)
        assert not first.unread
        doubts = [" ".join(item.doubts) for item in first.imported if item.doubts]
        assert f"In PromptSource these are {len(doubts)} templates." in PAGE.read_text("utf-8")
        assert {doubt.partition(":")[0] for doubt in doubts} == {"choices-flag"}
        imported = by_file(first.imported)
        for file in files:
            items = [item.template for item in imported[file.as_posix()]]
            _write(tmp_path / "back" / file, promptsource.write(items))
            given, back = ((tmp_path / folder / file).read_text() for folder in ("given", "back"))
            assert yaml.load(back, PlainLoader) == yaml.load(given, PlainLoader), file
            assert list(_templates(back)) == list(_templates(given)), "in the same order"
        second = import_templates(tmp_path / "back", child)
    assert [item.template for item in second.imported] == [item.template for item in first.imported]
    # Our own YAML, which is what `--out` writes, holds all of it as well.
    for file, items in list(imported.items())[::20]:
        own = _write(tmp_path / "own" / file, dump_templates([item.template for item in items]))
        again = [Template.model_validate(item) for item in read(own).data["templates"]]
        assert yaml.load(promptsource.write(again), PlainLoader) == yaml.load(
            (tmp_path / "given" / file).read_text(), PlainLoader
        )


class PlainLoader(yaml.CSafeLoader):
    """Reads the tags of the format as mappings that remember their tag."""


class PlainDumper(yaml.CSafeDumper):
    """Writes such mappings with their tag."""


class Tagged(dict[str, Any]):
    """A mapping with a tag."""

    tag = ""


def _construct(loader: Any, suffix: str, node: Any) -> Tagged:
    found = Tagged(loader.construct_mapping(node, deep=True))
    found.tag = f"!{suffix}"
    found["its tag"] = found.tag  # so that it counts in comparisons
    return found


def _represent(dumper: Any, data: Tagged) -> Any:
    plain = {key: value for key, value in data.items() if key != "its tag"}
    return dumper.represent_mapping(data.tag, plain, flow_style=False)


PlainLoader.add_multi_constructor("!", _construct)
PlainDumper.add_representer(Tagged, _represent)


def _templates(text: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.load(text, PlainLoader)["templates"]
    return found


def _write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
