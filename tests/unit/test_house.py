"""Rules of the house that linters do not know, each with proof that it catches its violation."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tutelage

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src" / "tutelage"
MODULES = sorted(SOURCE.rglob("*.py"))
PYTHON_FILES = MODULES + sorted((ROOT / "tests").rglob("*.py"))

LONGEST_FILE, LONGEST_FUNCTION = 300, 60
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)

# Ways to run code that stands in data; `yaml` is PyYAML, `joblib` and `dill` pickle inside.
UNSAFE_MODULES = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
UNSAFE_NAMES = {
    *("eval", "exec", "torch.load"),
    *("yaml.load", "yaml.load_all", "yaml.full_load", "yaml.unsafe_load"),
}
UNSAFE_ARGUMENTS = {("trust_remote_code", True), ("allow_pickle", True), ("typ", "unsafe")}

# What `--help` has no use for and what costs tenths of seconds to import.
HEAVY = {
    *("torch", "transformers", "datasets", "peft", "sklearn", "scipy", "pandas", "numpy"),
    *("matplotlib", "pydantic"),
}
TORCH_FREE = ("errors", "records", "files", "fetch", "tasks", "templates", "data")


# --- rules: each yields one line per violation ---


def long_code(path: Path, text: str) -> Iterator[str]:
    length = len(text.splitlines())
    if length > LONGEST_FILE:
        yield f"{path}: {length} lines, more than {LONGEST_FILE}"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, FUNCTIONS):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LONGEST_FUNCTION:
                yield f"{path}:{node.lineno}: `{node.name}` has {length} lines"


def vague_name(path: Path, _text: str) -> Iterator[str]:
    if {"util", "utils"} & set(path.with_suffix("").parts):
        yield f"{path}: name a module after the noun it holds"


def unsafe_loading(path: Path, text: str) -> Iterator[str]:
    tree = ast.parse(text)
    homes = _imports(tree)
    for name in sorted({home.partition(".")[0] for home in homes.values()} & UNSAFE_MODULES):
        yield f"{path}: imports {name}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Name):
            name = _dotted(node, homes)
            if name.removeprefix("builtins.") in UNSAFE_NAMES:
                yield f"{path}:{node.lineno}: uses {name}"
        for key, value in _arguments(node):
            if isinstance(value, ast.Constant) and (key, value.value) in UNSAFE_ARGUMENTS:
                yield f"{path}:{value.lineno}: {key}={value.value!r}"


def hidden_import(path: Path, text: str) -> Iterator[str]:
    """First-party imports inside functions; `cli*.py` may, to start without torch."""
    if len(path.parts) == 1 and path.stem.startswith("cli"):
        return
    functions = (node for node in ast.walk(ast.parse(text)) if isinstance(node, FUNCTIONS))
    lines = {line for function in functions for line in _first_party(function)}
    for line in sorted(lines):
        yield f"{path}:{line}: first-party import inside a function"


def machine_name(path: Path, text: str) -> Iterator[str]:
    """Paths of one machine, and package indexes other than the public default in `fetch`."""
    local_path = re.compile(r"(?<![\w.>})-])/(?:home|root|Users|work|tmp|opt|mnt)/[\w.]")
    index_host = re.compile(r"pypi\.org|pythonhosted\.org|download\.pytorch\.org", re.IGNORECASE)
    index_url = re.compile(r"https?://([^/\s\"'`<>]+)(?:/[^\s\"'`<>]*)?/simple\b")
    reserved = re.compile(
        r"^[{$]|(?:^|[@.])(?:example(?:\.com|\.org|\.net)?|test|invalid|localhost|127\.0\.0\.1)(?::|$)"
    )
    may_name_index = path.stem.removeprefix("test_") in ("fetch", "pip_config")
    for number, line in enumerate(text.splitlines(), 1):
        if local_path.search(line):
            yield f"{path}:{number}: a path of one machine"
        hosts = [*index_host.findall(line), *index_url.findall(line)]
        if not all(
            reserved.search(host) or (may_name_index and index_host.search(host)) for host in hosts
        ):
            yield f"{path}:{number}: names a package index"


def _imports(tree: ast.AST) -> dict[str, str]:
    """Local name: dotted name of what it stands for."""
    homes = {"eval": "eval", "exec": "exec"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.partition(".")[0]
                homes[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                homes[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    return homes


def _dotted(node: ast.AST, homes: dict[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, homes)}.{node.attr}"
    return homes.get(node.id, "") if isinstance(node, ast.Name) else ""


def _arguments(node: ast.AST) -> Iterator[tuple[str, ast.expr]]:
    """Names and values of call keywords and of dictionary displays, which may become keywords."""
    if isinstance(node, ast.Call):
        yield from ((word.arg, word.value) for word in node.keywords if word.arg)
    elif isinstance(node, ast.Dict):
        for key, value in zip(node.keys, node.values, strict=True):
            if isinstance(key, ast.Constant) and isinstance(key.value, str):
                yield key.value, value


def _first_party(function: ast.AST) -> Iterator[int]:
    for node in ast.walk(function):
        modules: list[str] = []
        match node:
            case ast.Import(names=names):
                modules = [alias.name for alias in names]
            case ast.ImportFrom(module=module, level=level):
                modules = ["tutelage"] if level else [module or ""]
            case ast.Call(func=called, args=[ast.Constant(value=str(name)), *_]):
                modules = [name] if ast.unparse(called).endswith("import_module") else []
        if any(re.match(r"tutelage(\.|$)", module) for module in modules):
            yield getattr(node, "lineno", 0)


# --- the rules hold ---


def _violations(rule: Callable[[Path, str], Iterator[str]], files: list[Path], base: Path) -> str:
    found = [
        line
        for path in files
        for line in rule(path.relative_to(base), path.read_text(encoding="utf-8"))
    ]
    return "\n".join(found)


@pytest.mark.parametrize("rule", [long_code, vague_name])
def test_all_code(rule: Callable[[Path, str], Iterator[str]]) -> None:
    assert not _violations(rule, PYTHON_FILES, ROOT)


@pytest.mark.parametrize("rule", [unsafe_loading, hidden_import])
def test_the_package(rule: Callable[[Path, str], Iterator[str]]) -> None:
    assert not _violations(rule, MODULES, SOURCE)


def test_no_file_names_a_machine() -> None:
    # `safe.directory`: in a container the checkout may belong to another user.
    listed = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    files = [ROOT / name for name in listed.stdout.decode().split("\0") if name]
    texts = [path for path in files if path.is_file() and b"\0" not in path.read_bytes()]
    assert Path(__file__) in texts
    assert not _violations(machine_name, texts, ROOT)


def _modules_after(statements: str) -> tuple[set[str], str]:
    """Top-level modules a fresh Python holds after the statements, and what it printed."""
    probe = f"import sys\n{statements}\nprint('\\0', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    printed, _, names = done.stdout.rpartition("\0")
    return {name.partition(".")[0] for name in names.split()}, printed


def test_help_imports_nothing_heavy() -> None:
    loaded, printed = _modules_after(
        "import tutelage.cli\n"
        "sys.argv = ['tutelage', '--help']\n"
        "try:\n    tutelage.cli.main()\n"
        "except SystemExit as stop:\n    assert not stop.code"
    )
    assert "Usage" in printed
    assert "run" in printed
    assert not loaded & HEAVY


def test_lower_floors_run_without_torch() -> None:
    homes = [SOURCE / name for name in TORCH_FREE]
    files = [home.with_suffix(".py") for home in homes if not home.is_dir()]
    files += [path for home in homes for path in home.rglob("*.py")]
    names = [".".join(path.relative_to(SOURCE.parent).with_suffix("").parts) for path in files]
    loaded, _ = _modules_after("\n".join(f"import {name}" for name in sorted(names)))
    assert "tutelage" in loaded
    assert not loaded & {"torch", "transformers"}


def test_importing_the_package_is_free() -> None:
    loaded, _ = _modules_after("import tutelage")
    assert not loaded & (HEAVY | {"typer", "rich"})


def test_public_names_are_sorted_listed_and_there() -> None:
    names = tutelage.__all__
    assert names == sorted(set(names))
    assert dir(tutelage) == names
    assert [name for name in names if getattr(tutelage, name, None) is None] == []
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = tutelage.no_such_name


# --- and each can fail ---

SHORT = "def f():\n" + "    pass\n" * (LONGEST_FUNCTION - 1)


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (long_code, "a.py", "x = 1\n" * (LONGEST_FILE + 1)),
        (long_code, "a.py", SHORT + "    pass\n"),
        (
            long_code,
            "a.py",
            "class C:\n    async " + SHORT.replace("\n ", "\n     ") + "        pass",
        ),
        (vague_name, "data/utils.py", ""),
        (vague_name, "utils/text.py", ""),
        (unsafe_loading, "a.py", "import pickle"),
        (unsafe_loading, "a.py", "from joblib import load"),
        (unsafe_loading, "a.py", "import torch\ntorch.load(path)"),
        (unsafe_loading, "a.py", "import torch as t\nread = t.load"),
        (unsafe_loading, "a.py", "from torch import load as read\nread(path)"),
        (unsafe_loading, "a.py", "import yaml\nyaml.load(text)"),
        (unsafe_loading, "a.py", "eval('1')"),
        (unsafe_loading, "a.py", "import builtins\nbuiltins.exec('1')"),
        (unsafe_loading, "a.py", "f(trust_remote_code=True)"),
        (unsafe_loading, "a.py", "f(**{'trust_remote_code': True})"),
        (hidden_import, "a.py", "def f():\n    from tutelage import data"),
        (hidden_import, "a.py", "def f():\n    import tutelage.data"),
        (hidden_import, "a.py", "async def f():\n    from . import data"),
        (hidden_import, "data/cli.py", "def f():\n    import_module('tutelage.data')"),
        (machine_name, "a.md", "see " + "/ho" + "me/someone/data.csv"),
        (machine_name, "fetch.py", "cache = '" + "/tm" + "p/x'"),
        (machine_name, "a.toml", "https://" + "PyPI." + "org/project/torch"),
        (machine_name, "fetch.py", "https://" + "mirror.corp/root/pypi/" + "simple/"),
    ],
)
def test_a_violation_is_found(rule: Callable[..., Iterator[str]], path: str, text: str) -> None:
    assert list(rule(Path(path), text))


@pytest.mark.parametrize(
    ("rule", "path", "text"),
    [
        (long_code, "a.py", SHORT),
        (unsafe_loading, "a.py", "model.eval()\nre.compile('x')\njson.load(f)"),
        (unsafe_loading, "a.py", "yaml = YAML(typ='safe')\nyaml.load(text)"),
        (unsafe_loading, "a.py", "f(trust_remote_code=False, default=None)"),
        (hidden_import, "a.py", "import tutelage.data\ndef f():\n    import peft"),
        (hidden_import, "cli.py", "def f():\n    from tutelage import pipeline"),
        (hidden_import, "cli_templates.py", "def f():\n    from tutelage import pipeline"),
        (machine_name, "a.md", "runs/work/x and https://example.org/home/x"),
        (machine_name, "fetch.py", "https://" + "pypi." + "org/simple/"),
        (
            machine_name,
            "a.md",
            "https://index.example/simple/ http://127.0.0.1:80/simple http://{host}/simple",
        ),
    ],
)
def test_what_is_allowed_passes(rule: Callable[..., Iterator[str]], path: str, text: str) -> None:
    assert not list(rule(Path(path), text))
