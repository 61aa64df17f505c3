"""The public names, and the pipeline in one call."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

import tutelage
from listener import Listener
from tiny import TINY_SETTINGS
from tutelage import ConfigError, InputError, Result
from tutelage.config import load_config
from tutelage.tasks.catalog import Catalog


def test_the_public_names() -> None:
    classes = {n for n in tutelage.__all__ if inspect.isclass(getattr(tutelage, n))}
    functions = {n for n in tutelage.__all__ if inspect.isfunction(getattr(tutelage, n))}
    assert classes == {
        *("Catalog", "Encoder", "Example", "Prediction", "Question", "Result", "Row", "RunConfig"),
        *("TaskSpec", "TutelageError", "ConfigError", "DataGateError", "InputError"),
    }
    assert functions == {
        "load_config",
        "load_model",
        "load_rows",
        "open_run",
        "run",
        "score_options",
    }
    assert set(tutelage.__all__) == classes | functions | {"__version__"}


@pytest.mark.parametrize("name", [n for n in tutelage.__all__ if n != "__version__"])
def test_a_public_name_is_documented_and_typed(name: str) -> None:
    value = getattr(tutelage, name)
    assert inspect.getdoc(value)
    assert value.__module__.startswith("tutelage.")
    if inspect.isfunction(value):
        signature = inspect.signature(value)
        empty = inspect.Parameter.empty
        assert signature.return_annotation is not empty
        assert all(p.annotation is not empty for p in signature.parameters.values())


def _settings(model: Path, **more: Any) -> dict[str, Any]:
    return {**TINY_SETTINGS, "model": str(model), **more}


def test_a_finished_run_is_opened_and_not_run_again(
    tiny_run: Result, tiny_reviews_csv: Path, tiny_model_dir: Path
) -> None:
    listener = Listener()
    before = {p: p.stat().st_mtime_ns for p in tiny_run.path.rglob("*") if p.is_file()}
    again = tutelage.run(
        tiny_reviews_csv, out=tiny_run.path, settings=_settings(tiny_model_dir), progress=listener
    )
    assert again == tiny_run == tutelage.open_run(tiny_run.path)
    assert listener.said == []
    after = {p: p.stat().st_mtime_ns for p in tiny_run.path.rglob("*") if p.is_file()}
    changed = {p.name for p in after if after[p] != before.get(p)}
    assert changed <= {".lock"}


def test_a_configuration_and_texts_give_the_same_run(
    tiny_run: Result, tiny_reviews_csv: Path, tiny_model_dir: Path
) -> None:
    settings = _settings(tiny_model_dir)
    config, _ = load_config(str(tiny_reviews_csv), catalog=Catalog(), overrides=settings)
    assert tutelage.run(config, out=str(tiny_run.path)) == tiny_run
    del settings["training.epochs"]
    again = tutelage.run(
        str(tiny_reviews_csv), out=tiny_run.path, settings=settings, sets=["training.epochs=6"]
    )
    assert again == tiny_run


def test_other_settings_do_not_touch_a_run(
    tiny_run: Result, tiny_reviews_csv: Path, tiny_model_dir: Path
) -> None:
    settings = _settings(tiny_model_dir, **{"training.epochs": 7})
    with pytest.raises(tutelage.TutelageError, match=r"training\.epochs: 6\.0 there, 7\.0 here"):
        tutelage.run(tiny_reviews_csv, out=tiny_run.path, settings=settings)


def test_bad_input_raises_and_leaves_nothing(tmp_path: Path, tiny_model_dir: Path) -> None:
    with pytest.raises(ConfigError, match="neither a built-in task nor a file"):
        tutelage.run(tmp_path / "nothing.csv", out=tmp_path / "run")
    table = tmp_path / "table.csv"
    table.write_text("review,sentiment,author\n" + 'fine,"good,a\n')
    with pytest.raises(InputError):
        tutelage.run(table, out=tmp_path / "run", settings=_settings(tiny_model_dir))
    assert not (tmp_path / "run").exists()
