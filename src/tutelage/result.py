"""What a finished run says: the same numbers in Python as in `report.json`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tutelage.errors import ConfigError
from tutelage.files import read_json


@dataclass(frozen=True, slots=True)
class Result:
    """A finished run.

    >>> result = tutelage.run("reviews")                      # doctest: +SKIP
    >>> result.verdict["says"], result.metric("tuned")        # doctest: +SKIP
    """

    path: Path
    report: dict[str, Any]

    @property
    def verdict(self) -> dict[str, Any]:
        """Best baseline, difference, interval, p value, and what it says."""
        verdict: dict[str, Any] = self.report["verdict"]
        return verdict

    @property
    def arms(self) -> dict[str, Any]:
        """Every arm's metrics on the sealed test, by name."""
        arms: dict[str, Any] = self.report["arms"]
        return arms

    @property
    def model_path(self) -> Path:
        """The tuned model: a plain Hugging Face folder."""
        return self.path / "model"

    @property
    def page(self) -> Path:
        """The report as one HTML file."""
        return self.path / "report.html"

    def metric(self, arm: str, name: str | None = None) -> float:
        """One metric of one arm; the primary one where none is named."""
        value: float = self.arms[arm]["metrics"][name or self.report["primary_metric"]]["value"]
        return value


def open_run(path: str | Path) -> Result:
    """The result of a finished run.

    Raises:
        ConfigError: there is no finished run at `path`.
    """
    folder = Path(path)
    report = folder / "report.json"
    if not report.is_file():
        started = (folder / "config.yaml").is_file()
        what = (
            "its run is not finished; go on with" if started else "no run is there; start one with"
        )
        target = folder if started else "TASK"
        raise ConfigError(f"{folder}: has no report.json: {what} `tutelage run {target}`.")
    return Result(folder, read_json(report))
