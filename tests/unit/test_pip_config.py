"""The index and the certificates that the environment and pip's files name."""

from __future__ import annotations

import os
import ssl
import sys
from pathlib import Path

import platformdirs
import pytest
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from tutelage import pip_config
from tutelage.errors import ConfigError

VARIABLES = ("PIP_INDEX_URL", "UV_INDEX_URL", "UV_DEFAULT_INDEX", "PIP_CONFIG_FILE", "PIP_CERT")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, a virtual environment and a machine of the test's own, without pip files."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "venv"))
    machine, user = str(tmp_path / "machine"), str(tmp_path / "user")
    monkeypatch.setattr(platformdirs, "site_config_dir", lambda *_, **__: machine)
    monkeypatch.setattr(platformdirs, "user_config_dir", lambda *_, **__: user)
    listed = pip_config._pip_files
    # one path is fixed; the machine's own file must play no part
    own = lambda: [path for path in listed() if path.is_relative_to(tmp_path)]  # noqa: E731
    monkeypatch.setattr(pip_config, "_pip_files", own)
    return tmp_path


def _configure(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / ("pip.ini" if os.name == "nt" else "pip.conf")
    path.write_text(text)
    return path


def test_the_public_index_is_the_last_resort() -> None:
    assert pip_config.index_url() == PYPI_SIMPLE_ENDPOINT


def test_environment_before_files(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _configure(home / "user", "[global]\nindex-url = https://file.example/simple\n")
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL"):
        monkeypatch.setenv(name, f"https://{name}.example/simple")
        assert pip_config.index_url() == f"https://{name}.example/simple"


def test_a_named_index_of_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "corp=https://index.example/simple?a=b")
    assert pip_config.index_url() == "https://index.example/simple?a=b"


def test_files_in_the_order_of_pip(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("machine", ".pip", ".config/pip", "user", "venv"):
        _configure(home / folder, f"[global]\nindex-url = https://index.example/{folder}%40x\n")
        assert pip_config.index_url() == f"https://index.example/{folder}%40x"
    named = home / "named.conf"
    named.write_text("[global]\nindex_url = https://index.example/named\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(named))
    # the other spelling of the key counts as the same one
    assert pip_config.index_url() == "https://index.example/named"


def test_the_command_before_the_global_section(home: Path) -> None:
    text = (
        "[global]\nindex-url = https://global.example\n[install]\nindex-url = https://i.example\n"
    )
    _configure(home / "user", text)
    assert pip_config.index_url() == "https://i.example"


def test_a_named_file_replaces_the_users_and_devnull_all(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _configure(home / "user", "[global]\nindex-url = https://user.example\n")
    named = home / "named.conf"
    named.write_text("[global]\ncert = named.pem\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(named))
    assert pip_config.index_url() == PYPI_SIMPLE_ENDPOINT
    assert pip_config.certificates() == "named.pem"
    _configure(home / "machine", "[global]\nindex-url = https://machine.example\n")
    assert pip_config.index_url() == "https://machine.example"
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert pip_config.index_url() == PYPI_SIMPLE_ENDPOINT


def test_a_file_that_does_not_parse(home: Path) -> None:
    _configure(home / "user", "index-url = https://no.section.example\n")
    with pytest.raises(ConfigError, match="pip's configuration"):
        pip_config.index_url()


def test_certificates(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pem = home / "system.pem"
    pem.write_text("")
    monkeypatch.setenv("SSL_CERT_FILE", str(pem))
    assert pip_config.certificates() == str(pem)
    monkeypatch.delenv("SSL_CERT_FILE")
    assert pip_config.certificates() == (ssl.get_default_verify_paths().cafile or True)
    _configure(home / "user", "[global]\ncert = user.pem\n")
    assert pip_config.certificates() == "user.pem"
    monkeypatch.setenv("PIP_CERT", "environment.pem")
    assert pip_config.certificates() == "environment.pem"
