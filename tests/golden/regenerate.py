"""Write `losses.json` and `data.json` anew: `python tests/golden/regenerate.py`.

Do it when a change of numbers is meant, and say in the commit why they changed.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from frozen import HOME, data_facts, training_losses

from tutelage.files import write_json


def main() -> None:
    """Compute both in a temporary folder and write them beside this file."""
    with tempfile.TemporaryDirectory() as scratch:
        losses = training_losses(Path(scratch) / "training")
        facts = data_facts(Path(scratch) / "data")
    write_json(HOME / "losses.json", losses)
    write_json(HOME / "data.json", facts)


if __name__ == "__main__":
    main()
