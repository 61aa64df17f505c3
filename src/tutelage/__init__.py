"""Tutelage: fine-tune a language model on your labelled data, and prove that it helped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tutelage.api import run as run
    from tutelage.config import RunConfig as RunConfig
    from tutelage.config import load_config as load_config
    from tutelage.errors import ConfigError as ConfigError
    from tutelage.errors import DataGateError as DataGateError
    from tutelage.errors import InputError as InputError
    from tutelage.errors import TutelageError as TutelageError
    from tutelage.evaluate.score import Question as Question
    from tutelage.evaluate.score import score_options as score_options
    from tutelage.models.load import load_model as load_model
    from tutelage.records import Example as Example
    from tutelage.records import Prediction as Prediction
    from tutelage.records import Row as Row
    from tutelage.result import Result as Result
    from tutelage.result import open_run as open_run
    from tutelage.tasks.catalog import Catalog as Catalog
    from tutelage.tasks.rows import load_rows as load_rows
    from tutelage.tasks.schema import TaskSpec as TaskSpec
    from tutelage.tokens.encode import Encoder as Encoder

__version__ = "0.1.0"

_HOMES = {
    "Catalog": "tutelage.tasks.catalog",
    "ConfigError": "tutelage.errors",
    "DataGateError": "tutelage.errors",
    "Encoder": "tutelage.tokens.encode",
    "Example": "tutelage.records",
    "InputError": "tutelage.errors",
    "Prediction": "tutelage.records",
    "Question": "tutelage.evaluate.score",
    "Result": "tutelage.result",
    "Row": "tutelage.records",
    "RunConfig": "tutelage.config",
    "TaskSpec": "tutelage.tasks.schema",
    "TutelageError": "tutelage.errors",
    "load_config": "tutelage.config",
    "load_model": "tutelage.models.load",
    "load_rows": "tutelage.tasks.rows",
    "open_run": "tutelage.result",
    "run": "tutelage.api",
    "score_options": "tutelage.evaluate.score",
}

__all__ = [
    "Catalog",
    "ConfigError",
    "DataGateError",
    "Encoder",
    "Example",
    "InputError",
    "Prediction",
    "Question",
    "Result",
    "Row",
    "RunConfig",
    "TaskSpec",
    "TutelageError",
    "__version__",
    "load_config",
    "load_model",
    "load_rows",
    "open_run",
    "run",
    "score_options",
]


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562), so that `import tutelage` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'tutelage' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
