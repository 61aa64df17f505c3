"""The built-in tasks: named run configurations that ship with the package."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from tutelage.errors import ConfigError, nearest


@dataclass(frozen=True, slots=True)
class Catalog:
    """Names of built-in tasks, and their YAML as package data."""

    names: tuple[str, ...] = ("reviews", "movies", "editorials", "tweets")

    def text(self, name: str) -> str:
        """The run configuration of a built-in task, as YAML.

        Raises:
            ConfigError: there is no built-in task of that name.
        """
        if name not in self.names:
            raise ConfigError(
                f"{name!r} is not a built-in task.{nearest(name, self.names)} Built in are "
                f"{', '.join(self.names)}; or give a table or a YAML file."
            )
        return (files("tutelage.tasks") / "builtin" / f"{name}.yaml").read_text(encoding="utf-8")
