"""The limited child process: what ends an item, and what goes on after it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tutelage.errors import InputError
from tutelage.templates.child import Child, Failure, Limits

needs_limits = pytest.mark.skipif(sys.platform == "win32", reason="no `resource` there")


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    with Child(Limits(cpu_seconds=0.4)) as child:
        yield child


def source(prompt: str, **more: Any) -> dict[str, Any]:
    return {"id": "t", "dialect": "promptsource", "prompt": prompt, "choices": None, **more}


def render(child: Child, prompt: str, rows: list[dict[str, Any]], **more: Any) -> list[Any]:
    items = [{"id": str(n), "fields": fields} for n, fields in enumerate(rows)]
    return child.run("render", {"template": source(prompt, **more), "seed": 0}, items)


LOOPS = "{% for a in range(100000) %}" * 3 + "{% endfor %}" * 3
LONG = 200_000_000
ATTACKS = {
    "attribute": "{{ x.__class__ }}|||b",
    "attribute by filter": "{{ x | attr('__class__') }}|||b",
    "attribute by item": "{{ x['__class__'] }}|||b",
    "attribute by map": "{{ [x] | map(attribute='__class__') | first }}|||b",
    "subclasses": "{{ ''.__class__.__mro__[1].__subclasses__() }}|||b",
    "globals of a helper": "{{ cycler.__init__.__globals__ }}|||b",
    "globals of namespace": "{{ namespace.__init__.__globals__.os.system('true') }}|||b",
    "globals of a macro": "{% macro m() %}{% endmacro %}{{ m.__globals__ }}|||b",
    "template object": "{{ self._TemplateReference__context }}|||b",
    "loop internals": "{% for a in [1] %}{{ loop._iterator }}{% endfor %}|||b",
    "format string": "{{ '{0.__class__}'.format(x) }}|||b",
    "format_map": "{{ '{x.__class__}'.format_map({'x': x}) }}|||b",
    "import": "{% import 'os' as os %}{{ os }}|||b",
    "include": "{% include '/etc/passwd' %}|||b",
    "extends": "{% extends '/etc/passwd' %}",
    "python import": "{{ __import__('os').system('true') }}|||b",
    "huge range": "{{ range(1000000000) | list | length }}|||b",
    "nested loops": LOOPS + "a|||b",
    "printed repetition": f"{{{{ 'a' * {LONG} }}}}|||b",
    "hidden repetition": f"{{% set y = 'a' * {LONG} %}}{{{{ y | length }}}}|||b",
    "list repetition": f"{{{{ ([1] * {LONG}) | length }}}}|||b",
    "percent width": f"{{{{ '%{LONG}d' % 1 }}}}|||b",
    "format width": f"{{{{ '{{:{LONG}}}'.format(1) }}}}|||b",
    "center": f"{{{{ 'a' | center({LONG}) }}}}|||b",
    "center method": f"{{{{ 'a'.center({LONG}) }}}}|||b",
    "replace": "{{ ('a' * 9000000) | replace('a', 'a' * 9000000) }}|||b",
    "doubling list": "{% set l = [0] %}{% for i in range(99) %}{% set _ = l.extend(l) %}"
    "{% endfor %}{{ l | length }}|||b",
    "doubling text": "{% set n = namespace(t='a') %}{% for i in range(60) %}"
    "{% set n.t = n.t ~ n.t %}{% endfor %}{{ n.t | length }}|||b",
    "printed doubling": "{% set n = namespace(t='a') %}{% for i in range(27) %}"
    "{% set n.t = n.t ~ n.t %}{% endfor %}{{ n.t }}|||b",
    "power": "{{ 9 ** (9 ** 9) }}|||b",
    "growing numbers": "{% set n = namespace(v=9) %}{% for i in range(60) %}"
    "{% set n.v = n.v * n.v %}{% endfor %}{{ n.v }}|||b",
    "endless recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}|||b",
    "deep nesting": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}|||b",
    "long output": "{% for i in range(100000) %}0123456789ABCDEF{% endfor %}|||b",
}


@needs_limits
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_an_attack_ends_in_one_clear_error(child: Child, attack: str) -> None:
    before, started = memory(), time.process_time()
    (failed,) = render(child, attack, [{"x": "a"}])
    assert isinstance(failed, Failure), failed
    assert failed.kind in ("unsafe", "undefined", "syntax", "time", "memory", "output", "error")
    assert 5 < len(str(failed)) < 400
    assert "\n" not in str(failed)
    assert memory() - before < 100 << 20
    assert time.process_time() - started < 1, "the parent works for it"
    assert render(child, "{{ x }}|||b", [{"x": "fine"}])[0]["prompt"] == "fine"


def memory() -> int:
    """Resident bytes of this process."""
    status = Path("/proc/self/statm")
    if not status.exists():
        return 0
    return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@needs_limits
def test_loops_end_within_two_seconds_of_processor_time() -> None:
    limits = Limits(cpu_seconds=0.3)
    with Child(limits) as child:
        assert render(child, "{{ x }}|||b", [{"x": "a"}])
        began = os.times()
        started = time.monotonic()
        (failed,) = render(child, LOOPS + "a|||b", [{"x": "a"}])
        assert failed.kind == "time"
        # On a busy machine the wall time is longer than the processor time that is limited.
        assert time.monotonic() - started < 2 * (1 + os.getloadavg()[0])
        assert os.times().user - began.user < 1
        assert child.starts == 1, "a loop is stopped without a new process"


@needs_limits
def test_the_item_that_kills_the_child_fails_alone() -> None:
    with Child(Limits(memory=128 << 20)) as child:
        prompt = (
            "{% set l = [0] %}{% if x == 'bad' %}{% for i in range(99) %}"
            "{% set _ = l.extend(l) %}{% endfor %}{% endif %}{{ x }}|||b"
        )
        rows = [{"x": x} for x in ("one", "bad", "two", "bad", "three")]
        got = render(child, prompt, rows)
        assert [r.kind if isinstance(r, Failure) else r["prompt"] for r in got] == [
            *("one", "memory", "two", "memory", "three")
        ]
        assert child.starts == 3


def test_a_stuck_child_is_killed_by_the_wall_time() -> None:
    with Child(Limits(cpu_seconds=1000, wall_seconds=0.7)) as child:
        (failed,) = render(child, LOOPS + "a|||b", [{}])
        assert failed == Failure("time", failed.message)
        assert render(child, "a|||b", [{}])[0]["completion"] == "b"
        assert child.starts == 2


@needs_limits
def test_the_child_opens_no_file_and_sees_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUTELAGE_TEST_SECRET", "secret")
    with Child() as child:
        render(child, "a|||b", [{}])
        process = child._process
        assert process is not None
        about = Path(f"/proc/{process.pid}")
        if about.exists():
            assert "Max open files            3" in (about / "limits").read_text()
            assert "TUTELAGE_TEST_SECRET" not in (about / "environ").read_text()
            assert "torch" not in (about / "maps").read_text()


def test_many_rows_travel_together() -> None:
    with Child() as child:
        rows = [{"x": f"row {n} é"} for n in range(5000)]
        got = render(child, "{{ x }}|||{{ x | upper }}", rows)
        assert [r["prompt"] for r in got] == [row["x"] for row in rows]
        assert child.starts == 1


def test_what_is_not_plain_data_is_refused(child: Child) -> None:
    with pytest.raises(InputError, match="not plain data"):
        render(child, "{{ x }}|||b", [{"x": object()}])
    assert render(child, "{{ x }}|||b", [{"x": "a"}])[0]["prompt"] == "a"


def test_no_items_start_no_child() -> None:
    with Child() as child:
        assert child.run("render", {}, []) == []
        assert child.starts == 0
