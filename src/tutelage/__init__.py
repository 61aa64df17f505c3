"""Tutelage: fine-tune a language model on your labelled data, and prove that it helped."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "ConfigError": "tutelage.errors",
    "DataGateError": "tutelage.errors",
    "Encoder": "tutelage.tokens.encode",
    "Example": "tutelage.records",
    "InputError": "tutelage.errors",
    "Prediction": "tutelage.records",
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
    "ConfigError",
    "DataGateError",
    "Encoder",
    "Example",
    "InputError",
    "Prediction",
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

if TYPE_CHECKING:
    pass


def __getattr__(name: str) -> Any:
    """Import a public name on first use (PEP 562), so that `import tutelage` stays light."""
    if name not in _HOMES:
        raise AttributeError(f"module 'tutelage' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
