"""Examples made by hand."""

from __future__ import annotations

from typing import Any

from tutelage.records import Example

LABELS = ("bad", "good")


def example(row_id: str, text: str = "a kettle", label: str = "good", **more: Any) -> Example:
    """A row whose prompt is its text and whose options are its labels."""
    plain: dict[str, Any] = {
        "id": row_id,
        "fields": {"text": text},
        "label": label,
        "group": f"g{row_id}",
        "template": "t/one",
        "prompt": text,
        "options": LABELS,
        "labels": LABELS,
        "where": f"t.csv:{row_id}",
    }
    return Example(**{**plain, **more})
