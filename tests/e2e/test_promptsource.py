"""All 2,085 templates of the shared PromptSource files: the goals of the import."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from command import call
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
