"""The numbers of random Keras models in the two layouts, channels last and channels first: how far they differ."""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
from keras.src.backend.common import dtypes

from benchmarks.robustness.keras_models import channels_moved, make
from leaky_zoo.analysis import analyze
from leaky_zoo.errors import LeakyZooError

COMPARED = ("cost_of_identity", "stable_rank", "nuclear_norm_rank", "participation_ratio")


def layout_difference(seed: int) -> float | None:
    """Largest relative difference between the numbers of the same float32 function in the two layouts."""
    return _difference(seed, "float32")


def layout_difference_float64(seed: int) -> float | None:
    """The same in float64, on JAX alone: TensorFlow has no channels-first convolutions in float64 on a CPU."""
    with _float64_of_keras():
        return _difference(seed, "float64")


@contextmanager
def _float64_of_keras() -> Iterator[None]:
    """While this lasts inputs and nested models are float64 too, and means, which Keras takes in float32 on JAX.

    The policy is set beside `floatx`: Keras makes it of `floatx` once, when the first layer asks for it, and a model
    of policy float32 casts its inputs to float32.
    """
    before, floats, policy = dict(dtypes.BIT64_TO_BIT32_DTYPE), keras.config.floatx(), keras.config.dtype_policy()
    dtypes.BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    try:
        yield
    finally:
        dtypes.BIT64_TO_BIT32_DTYPE.update(before)
        keras.config.set_floatx(floats)
        keras.config.set_dtype_policy(policy)


def _difference(seed: int, policy: str) -> float | None:
    """Of one model in both layouts; None where one of them cannot run, or where there is nothing to compare."""
    last, first = (make(seed, layout, policy) for layout in ("channels_last", "channels_first"))
    weights, shapes = last.model.get_weights(), [w.shape for w in first.model.get_weights()]
    first.model.set_weights([w.reshape(shape) for w, shape in zip(weights, shapes, strict=True)])
    try:
        one_audit = analyze(last.model, last.x)
        moved = channels_moved(last.x, last.kind, "channels_first")
        other_audit = analyze(first.model, moved)
    except LeakyZooError:  # TensorFlow has no such operator in this layout on a CPU
        return None
    worst = None
    for one, two in zip(one_audit.layers, other_audit.layers, strict=True):
        if one.kind in ("Flatten", "Reshape", "PReLU") or one.reason or two.reason:
            continue
        values = one.singular_values
        for name in COMPARED:
            # The nuclear norm of a layer of lower rank holds square roots of rounding, 1e-8 of the largest value.
            if name != "nuclear_norm_rank" or policy == "float32" or values[-1] > 1e-6 * values[0]:
                expected, found = getattr(one, name), getattr(two, name)
                worst = max(worst or 0.0, abs(expected - found) / max(abs(expected), 1e-12))
    return worst
