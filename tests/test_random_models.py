"""A fixed sample of the Keras models that `benchmarks.robustness.random_models` makes."""

import pytest

from benchmarks.robustness import random_models

SAMPLE = (2, 7, 8, 11, 14, 17, 20, 24)  # every form and kind, both layouts, three policies


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("seed", SAMPLE)
@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")
def test_nothing_ends_in_a_traceback(seed):
    row = random_models.run(seed)
    assert all(row[step] == "ok" for step in ("save", "load", "analyze", "export", "verify")), row
    assert row["relative_error"] <= 1e-5
    assert row["layout_difference"] is None or row["layout_difference"] <= 1e-4
