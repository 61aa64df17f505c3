"""A plan of a tiny run: what it counts, what it says would stop the run, and that it writes
nothing."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from command import call
from tiny import TINY_SETTINGS, tiny_reviews, write_tiny_reviews
from tutelage.config import load_config
from tutelage.errors import StorageError
from tutelage.pipeline import dataplan, modelplan
from tutelage.pipeline.planning import plan_run
from tutelage.tasks.catalog import Catalog

SECTIONS = ("rows", "ledger", "tokens", "shots", "power", "training", "memory", "time")


def planned(table: Path, model: Path | str, out: Path, **settings: Any) -> dict[str, Any]:
    measure = settings.pop("measure", False)
    overrides = {**TINY_SETTINGS, "model": str(model), **settings}
    overrides = {key: value for key, value in overrides.items() if value is not None}
    config, _ = load_config(str(table), catalog=Catalog(), overrides=overrides)
    return plan_run(config, out, device="cpu", measure=measure)


@pytest.fixture(scope="module")
def whole(
    tiny_reviews_csv: Path, tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The plan of the tiny run, measured."""
    out = tmp_path_factory.mktemp("plan") / "run"
    found = planned(tiny_reviews_csv, tiny_model_dir, out, measure=True)
    assert list(out.parent.iterdir()) == []  # nothing was written
    return found


# --- a run that would go well ---


def test_a_sound_task_would_run(whole: dict[str, Any]) -> None:
    assert whole["would_run"]
    assert whole["exit_code"] == 0
    assert whole["problems"] == []
    assert all(whole[name] is not None for name in SECTIONS)
    json.dumps(whole, allow_nan=False)


def test_the_plan_counts_what_the_run_makes(whole: dict[str, Any], tiny_run: Any) -> None:
    data = tiny_run.path / "data"
    made = json.loads((data / "summary.json").read_text())
    assert whole["rows"]["splits"] == made["splits"]
    assert whole["ledger"]["counts"] == made["ledger"]
    quality = dict(whole["quality"])
    first = quality.pop("first")
    assert quality == made["quality"]
    flags = json.loads((data / "quality.json").read_text())["flags"]
    named = [(f["kind"], f["id"]) for f in first]
    assert named == [
        (f["kind"], f["id"])
        for kind in made["quality"]["counts"]
        for f in [flag for flag in flags if flag["kind"] == kind][:3]
    ]
    assert all(f["text"] for f in first if f["id"])
    assert whole["leaks"] == {"rows": 0, "first": []}  # groups are never divided
    assert whole["tokens"]["limit"] == made["max_length"]
    training = tiny_run.report["training"]
    assert whole["training"]["steps"] == training["steps"]
    assert whole["tokens"]["labelled"] == training["labelled_tokens"]
    assert whole["training"]["micro_batch_tokens"] == training["micro_batch_tokens"]
    assert whole["rows"]["source"] == len(tiny_reviews())


def test_shared_beginnings_are_counted_twice(whole: dict[str, Any]) -> None:
    sharing = whole["tokens"]["sharing"]
    assert 0 < sharing["steps"]["saved"] < sharing["trie"]["saved"] < 1
    examples = whole["tokens"]["examples"]
    assert sharing["trie"]["tokens"] == whole["tokens"]["tokens"] - examples


def test_what_examples_in_the_prompt_cost(whole: dict[str, Any]) -> None:
    asked = {shot["asked"]: shot for shot in whole["shots"]}
    assert asked[0]["fits"] == 0
    assert asked[2]["fits"] == 2
    assert asked[2]["sent_tokens"] > asked[0]["sent_tokens"]
    assert all(shot["computed_tokens"] < shot["sent_tokens"] * 2 for shot in whole["shots"])
    most = whole["shots"][-1]
    assert most["most"]
    assert most["asked"] == most["fits"] > 2
    assert most["sent_tokens"] <= 512  # the tiny model's context


def test_what_the_test_can_show(whole: dict[str, Any]) -> None:
    power = whole["power"]
    assert power["rows"] == whole["rows"]["splits"]["test"]["rows"]
    assert power["groups"] == whole["rows"]["splits"]["test"]["groups"]
    assert power["design_effect"] > 1  # authors have several reviews
    for line in power["detectable"]:
        if line["points"] is not None and line["grouped_points"] is not None:
            assert line["points"] < line["grouped_points"]


def test_time_is_the_sum_of_named_parts(whole: dict[str, Any]) -> None:
    parts = whole["time"]["parts"]
    assert whole["time"]["seconds"] == pytest.approx(sum(p["seconds"] for p in parts), abs=0.1)
    named = Counter(part["stage"] for part in parts)
    assert {"prepare", "baseline", "train", "evaluate"} == set(named)
    what = {part["what"] for part in parts}
    assert {"Steps", "Checkpoints", "Validation", "Sealed test", "Zero-shot"} <= what
    assert all(part["seconds"] >= 0 for part in parts)


def test_memory_is_shown_by_holder_and_as_measured(whole: dict[str, Any]) -> None:
    memory = whole["memory"]
    parts = dict(memory["estimate"])
    assert parts.pop("total") == sum(parts.values())
    weights = whole["training"]["parameters"]
    assert parts["weights"] == 4 * weights
    assert parts["optimizer"] == 8 * weights
    assert memory["measured"]["peak_bytes"] > 0
    assert memory["available_bytes"] > parts["weights"]


def test_without_measuring_nothing_is_timed(
    tiny_reviews_csv: Path, tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(modelplan, "rehearse", None)
    monkeypatch.setattr(modelplan, "time_arms", None)
    found = planned(tiny_reviews_csv, tiny_model_dir, tmp_path / "run")
    assert found["would_run"]
    assert found["time"] is None
    assert "measured" not in found["memory"]
    assert found["training"]["steps"] > 0


def test_a_task_with_text_answers(
    tiny_reviews_csv: Path, tiny_model_dir: Path, tmp_path: Path
) -> None:
    settings = {
        "task.answer": "author",
        "task.label": None,
        "task.answers.max_tokens": 4,
        "split.max_conflict_share": 0.1,  # the same words by two authors
        "task.metrics": ["rougeL"],
        "training.epochs": 1,
        "baselines.shots": [0, 1],
    }
    found = planned(tiny_reviews_csv, tiny_model_dir, tmp_path / "run", measure=True, **settings)
    assert found["would_run"], found["problems"]
    assert found["kind"] == "text"
    assert [line["deviation"] for line in found["power"]["detectable"]] == [0.1, 0.2, 0.3]
    assert found["power"]["detectable"][0]["points"] > 0
    what = {part["what"] for part in found["time"]["parts"]}
    assert {"Zero-shot", "1 example in the prompt", "Validation", "Sealed test"} <= what


def test_many_rows_are_planned_with_in_part(
    tiny_reviews_csv: Path, tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataplan, "MOST_ROWS", 150)
    found = planned(tiny_reviews_csv, tiny_model_dir, tmp_path / "run")
    rows = found["rows"]
    assert rows["source"] == len(tiny_reviews())
    assert 60 < rows["planned_with"] < 230
    factor = rows["source"] / rows["planned_with"]
    assert found["tokens"]["examples"] == round(rows["splits"]["train"]["rows"] * factor)
    assert found["training"]["steps"] == max(
        1, round(found["tokens"]["examples"] * found["training"]["epochs"] / 16)
    )


# --- what would stop a run ---


def codes(plan: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [(p["stage"], p["error"], p["exit_code"]) for p in plan["problems"]]


def test_all_problems_are_said_at_once(
    tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Contradicting rows, a full disk and no memory, in the order of a run."""
    rows = tiny_reviews()
    told = [row._replace(id=f"again-{row.id}", sentiment="neutral") for row in rows[:60]]
    table = write_tiny_reviews(tmp_path / "rows.csv", [*rows, *told])

    def full(*_: Any) -> None:
        raise StorageError("0.0 GB free. Free space.")

    monkeypatch.setattr(modelplan, "check_disk", full)
    monkeypatch.setattr(modelplan, "available_bytes", lambda _device: 1000)
    found = planned(table, tiny_model_dir, tmp_path / "run", measure=True)
    assert codes(found) == [
        ("prepare", "DataGateError", 3),
        ("train", "StorageError", 6),
        ("train", "OutOfMemoryError", 9),
    ]
    assert not found["would_run"]
    assert found["exit_code"] == 3
    assert found["time"] is None
    assert all(p["says"].endswith((".", "?")) for p in found["problems"])


def test_data_is_judged_even_where_the_model_is_missing(tmp_path: Path) -> None:
    rows = tiny_reviews()
    told = [row._replace(id=f"again-{row.id}", sentiment="neutral") for row in rows[:60]]
    table = write_tiny_reviews(tmp_path / "rows.csv", [*rows, *told])
    found = planned(table, tmp_path, tmp_path / "run")
    assert codes(found) == [("model", "InputError", 2), ("prepare", "DataGateError", 3)]
    assert found["tokens"] is None
    assert found["rows"]["splits"] is None


def test_rows_that_cannot_be_trained_on_are_counted(tiny_model_dir: Path, tmp_path: Path) -> None:
    template = tmp_path / "t.yaml"
    template.write_text(
        "templates:\n- {id: my/one, name: one, prompt: '{{ text }} {{ author }}'}\n"
    )
    table = write_tiny_reviews(tmp_path / "rows.csv", tiny_reviews())
    found = planned(table, tiny_model_dir, tmp_path / "run", **{"task.templates": [str(template)]})
    assert codes(found) == [("prepare", "ConfigError", 2)]
    assert "240 rows under my/one" in found["problems"][0]["says"]


def test_a_table_of_a_few_rows(tiny_model_dir: Path, tmp_path: Path) -> None:
    table = write_tiny_reviews(tmp_path / "rows.csv", tiny_reviews()[:6])
    found = planned(table, tiny_model_dir, tmp_path / "run")
    assert codes(found) == [("prepare", "DataGateError", 3)]
    assert found["rows"]["source"] == 6


def test_a_run_directory_of_another_configuration(
    tiny_reviews_csv: Path, tiny_model_dir: Path, tiny_run: Any
) -> None:
    before = sorted(p for p in tiny_run.path.rglob("*"))
    found = planned(tiny_reviews_csv, tiny_model_dir, tiny_run.path, **{"split.seed": 5})
    assert codes(found)[0] == ("configuration", "ResumeError", 4)
    assert found["training"]["steps"] > 0  # and still everything is planned
    assert sorted(p for p in tiny_run.path.rglob("*")) == before


def test_a_run_that_is_going_on(
    tiny_reviews_csv: Path, tiny_model_dir: Path, tmp_path: Path
) -> None:
    out = tmp_path / "run"
    out.mkdir()
    (out / ".lock-owner").write_text("1")
    found = planned(tiny_reviews_csv, tiny_model_dir, out)
    assert codes(found) == [("configuration", "LockedError", 7)]
    (out / ".lock-owner").write_text("not a number")
    assert planned(tiny_reviews_csv, tiny_model_dir, out)["would_run"]


# --- the command ---


def command(table: Path, model: Path, *more: str) -> Any:
    base = ["plan", table, "--text", "review", "--label", "sentiment", "--model", model]
    return call(*base, "--set", "training.precision=fp32", "--no-measure", *more)


def test_the_command_prints_tables(tiny_reviews_csv: Path, tiny_model_dir: Path) -> None:
    out = command(tiny_reviews_csv, tiny_model_dir).expect(0).out
    for words in ("would run", "Rows: 240", "Tokens:", "Examples in the prompt", "Peak memory"):
        assert words in out


def test_the_command_prints_one_object(tiny_reviews_csv: Path, tiny_model_dir: Path) -> None:
    found = json.loads(command(tiny_reviews_csv, tiny_model_dir, "--json").expect(0).out)
    assert found["would_run"]
    assert found["rows"]["source"] == 240


def test_the_command_ends_with_the_code_of_the_run(
    tiny_reviews_csv: Path, tiny_model_dir: Path
) -> None:
    wrong = command(tiny_reviews_csv, tiny_model_dir, "--set", "training.epochs=-1", "--json")
    found = json.loads(wrong.expect(2).out)
    assert codes(found) == [("configuration", "ConfigError", 2)]
    assert not found["would_run"]
    done = command(tiny_reviews_csv, tiny_model_dir, "--device", "nowhere").expect(2)
    assert "would not run, 1 problem (exit code 2)" in done.out
    assert "--device nowhere" in done.out
