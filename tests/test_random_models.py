"""A fixed sample of the Keras models that `benchmarks.robustness.random_models` makes."""

import keras
import numpy as np
import pytest

from benchmarks.robustness import random_models
from benchmarks.robustness.keras_models import make
from benchmarks.robustness.random_layouts import layout_difference, layout_difference_float64

SAMPLE = (2, 7, 8, 11, 14, 17, 20, 24)  # every form and kind, both layouts, three policies


@pytest.mark.tensorflow_only
@pytest.mark.parametrize("seed", SAMPLE)
@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")
def test_nothing_ends_in_a_traceback(seed):
    row = random_models.run(seed)
    assert all(row[step] == "ok" for step in ("save", "load", "analyze", "export", "verify")), row
    assert row["relative_error"] <= 1e-5
    assert row["layout_difference"] is None or row["layout_difference"] <= 1e-4


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="TensorFlow has no such convolutions in float64")
@pytest.mark.parametrize("seed", [162, 187])  # subclassed: a model of policy float32 casts what its layers get
def test_layouts_agree_in_float64_after_the_same_model_in_float32(seed):
    import jax

    with jax.enable_x64(True):
        policy, floats = keras.config.dtype_policy(), keras.config.floatx()
        assert 1e-9 < layout_difference(seed) <= 1e-4
        assert layout_difference_float64(seed) <= 1e-9
        assert (keras.config.dtype_policy(), keras.config.floatx()) == (policy, floats)


@pytest.mark.tensorflow_only
def test_a_file_of_another_backend_is_exported_and_compared_with_the_outputs_there(tmp_path, monkeypatch):
    monkeypatch.setattr(random_models, "FILES", tmp_path)
    made = make(3)
    made.model.save(tmp_path / "3.keras")
    outputs = np.asarray(made.model(made.x))
    for factor, most in ((1.0, 1e-5), (1.1, 0.2)):
        np.savez(tmp_path / "3.npz", factor * outputs)
        row = random_models.run_saved(3)
        assert (row["seed"], row["export"], row["verify"]) == (3, "ok", "ok")
        assert (row["backend_difference"] <= 1e-5) == (factor == 1.0) and row["backend_difference"] <= most


def test_what_is_left_to_run_is_in_parts_of_one_backend():
    missing = random_models.missing
    assert missing(6, ("tensorflow", "jax"), [0, 4]) == [
        ("tensorflow", range(1, 3)), ("jax", range(3, 4)), ("jax", range(5, 6))
    ]  # fmt: skip
    parts = missing(300, ("tensorflow", "jax"), ())
    assert [seed for _, seeds in parts for seed in seeds] == list(range(300))
    assert max(len(seeds) for _, seeds in parts) == random_models.PART
    assert missing(6, ("jax",), range(6)) == []
