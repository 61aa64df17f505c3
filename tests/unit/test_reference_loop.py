"""The plain loop that the engine is compared with."""

from __future__ import annotations

import ast
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "parity" / "reference_loop.py"


def test_it_is_read_in_one_go_and_shares_no_code_with_the_engine() -> None:
    source = SOURCE.read_text(encoding="utf-8")
    assert len(source.splitlines()) <= 150
    imported: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
    assert "torch" in imported
    assert not imported & {"tutelage", "families", "gradient_cases", "tiny"}
