"""Where a training of hours stands, in one file, so that it goes on after it was stopped."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from leaky_zoo.io.files import replacing


class Progress:
    """Steps done, what they changed, and the processor time they took.

    Args:
        path: `.npz`, made by the first `keep`; whoever has the result deletes it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._begin, self._before = time.process_time(), 0.0

    @property
    def seconds(self) -> float:
        """Processor time, in seconds, of this process since it was made and of those before it."""
        return self._before + time.process_time() - self._begin

    def restore(self, variables: Sequence[Any]) -> int:
        """Set the variables to what was kept. Returns the steps done: 0, and nothing is set, where nothing was kept."""
        if not self.path.exists():
            return 0
        with np.load(self.path, allow_pickle=False) as kept:
            if len(kept.files) != len(variables) + 2:
                raise SystemExit(f"{self.path} is of another net: delete it.")
            for place, variable in enumerate(variables):
                variable.assign(kept[f"variable_{place}"])
            self._before = float(kept["seconds"])
            return int(kept["steps"])

    def keep(self, variables: Sequence[Any], steps: int) -> None:
        """Write all of it; a process that dies meanwhile leaves the file as it was."""
        values = {f"variable_{place}": np.asarray(variable) for place, variable in enumerate(variables)}
        with replacing(self.path) as aside, aside.open("wb") as file:
            np.savez(file, steps=steps, seconds=self.seconds, **values)
