"""Which package index and which certificates this machine is set up to use.

Read from the environment and from pip's configuration files, without running pip
(https://pip.pypa.io/en/stable/topics/configuration/).
"""

from __future__ import annotations

import configparser
import os
import re
import ssl
import sys
from pathlib import Path

import platformdirs
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from tutelage.errors import ConfigError


def index_url() -> str:
    """The package index in use, as pip and uv would choose it, else the public one.

    Raises:
        ConfigError: pip's configuration does not parse.
    """
    for name in ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX"):
        value = os.environ.get(name, "").strip()
        if value:
            return re.sub(r"^[A-Za-z0-9._-]+=(?=\w+://)", "", value)  # uv allows `name=url`
    return _pip_option("index-url") or PYPI_SIMPLE_ENDPOINT


def certificates() -> str | bool:
    """Certificates for `requests`, which itself puts REQUESTS_CA_BUNDLE before these.

    The default paths of `ssl` honour SSL_CERT_FILE and end at the system's certificates.
    """
    chosen = os.environ.get("PIP_CERT") or _pip_option("cert")
    return chosen or ssl.get_default_verify_paths().cafile or True


class _PipParser(configparser.RawConfigParser):
    """pip takes `index_url` for `index-url`."""

    def optionxform(self, optionstr: str) -> str:
        return optionstr.lower().replace("_", "-")


def _pip_option(option: str) -> str | None:
    """An option of pip's configuration files, in pip's order of precedence."""
    parser = _PipParser(strict=False)
    try:
        parser.read(_pip_files(), encoding="utf-8")
    except (configparser.Error, UnicodeDecodeError) as error:
        raise ConfigError(f"pip's configuration cannot be read: {error}. Correct it.") from error
    for section in ("install", "global"):
        value = parser.get(section, option, fallback="").strip()
        if value:
            return value
    return None


def _pip_files() -> list[Path]:
    """pip's configuration files, lowest precedence first."""
    named = os.environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    filename = "pip.ini" if sys.platform == "win32" else "pip.conf"
    machine = platformdirs.site_config_dir("pip", appauthor=False, multipath=True)
    folders = [Path(folder) for folder in reversed(machine.split(os.pathsep))]
    files = [folder / filename for folder in folders] + [Path("/etc") / filename]
    if not (named and Path(named).exists()):
        home = Path.home()
        files += [
            home / ".pip" / filename,
            home / ".config" / "pip" / filename,
            Path(platformdirs.user_config_dir("pip", appauthor=False, roaming=True)) / filename,
        ]
    files.append(Path(sys.prefix) / filename)
    return files + ([Path(named)] if named else [])
