"""Settings of the report."""

from __future__ import annotations

from pydantic import Field

from tutelage.tasks.schema import Section


class ReportConfig(Section):
    """What the report shows; nothing here changes a number."""

    examples: int = Field(
        default=10,
        ge=0,
        le=1000,
        description="examples that tuning fixed or gained by, and as many that it broke",
    )
