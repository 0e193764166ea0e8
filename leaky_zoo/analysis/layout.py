"""What a layer's output is as matrices: which axis holds the units, which positions count, what `s(A)` is."""

import math
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from leaky_zoo.analysis.axes import Axes
from leaky_zoo.layers.conv import image_patches

MAX_WIDTH = 4096  # rows of A: its second moment has as many squared
MAX_FEATURES = 1200  # rows of s(A): a patch matrix beyond that is replaced by the channels
HIDDEN = (
    "its values cannot be seen: it is called inside a compiled function or a loop (with TensorFlow, "
    "tf.config.run_functions_eagerly(True) opens functions)"
)
MAX_POSITIONS = 64  # of an image or a sequence; more are thinned out to a regular grid


@dataclass(frozen=True)
class Matrices:
    """A batch of outputs as the sums take it.

    Attributes:
        columns: `A`, one row for each column of the paper's, C-contiguous.
        activations: `s(A)` without the ones, in the same layout.
        vectors: one representation for each sample.
        features: what `s(A)` is, as `LayerAudit.features`.
        repeated: whether nothing is negative, so that `A` is among the features: those of each unit, or the middle of
            each patch.
    """

    columns: np.ndarray
    activations: np.ndarray
    vectors: np.ndarray
    features: str
    repeated: bool

    @property
    def rectified(self) -> np.ndarray:
        """`relu(A)`, in the layout of `columns`."""
        width, features = self.columns.shape[1], self.activations.shape[1]
        middle = features // width // 2 * width
        return self.activations[:, middle : middle + width]

    def repeats(self, other: "Matrices") -> str | None:
        """Whether all of this is in the sums of another: "same", "rectified" (it is the `relu(A)` there) or None."""
        if self.columns.shape != other.columns.shape or self.activations.shape != other.activations.shape:
            return None
        for word, columns in (("same", other.columns), ("rectified", other.rectified)):
            rows = (self.columns[:1], columns[:1]), (self.columns, columns), (self.activations, other.activations)
            if all(one is two or np.array_equal(one, two) for one, two in rows):
                return word
        return None


def one_array(output: Any, count: int, axes: Axes | None = None) -> tuple[np.ndarray | None, str | None]:
    """A layer's output as an array `(n, positions.., units)` with one row for each sample, or the reason why not.

    Args:
        output: what the layer gave.
        count: of samples.
        axes: what its axes mean. Default None: units on the last axis.
    """
    if isinstance(output, list | tuple | dict):
        return None, f"its output is a {type(output).__name__}, not one array"
    try:
        array = _seen(output)
    except Exception:  # each backend has its own word for a tensor that is none yet
        return None, HIDDEN
    if not isinstance(array, np.ndarray) or array.dtype.kind == "O":
        return None, HIDDEN
    if array.dtype.name in ("bfloat16", "float16"):
        array = array.astype(np.float32)
    if not np.issubdtype(array.dtype, np.floating):
        return None, f"its output is {array.dtype}, not real numbers"
    if array.ndim < 2 or len(array) != count or array.size == 0:
        return None, f"its output has shape {array.shape}, without one row for each sample"
    if axes is not None and axes.reason is not None:
        return None, axes.reason
    units = axes.units if axes is not None and axes.units else (array.ndim - 1,)
    if max(units) >= array.ndim:
        return None, f"its output has shape {array.shape}, of fewer axes than when its layers were looked at"
    width = math.prod(array.shape[unit] for unit in units)
    if width > MAX_WIDTH:
        return None, f"its width {width} is above {MAX_WIDTH}: its second moment would take {width**2 * 8 / 1e9:.1f} GB"
    array = np.moveaxis(array, units, range(-len(units), 0))
    return array.reshape(*array.shape[: array.ndim - len(units)], width), None


def _seen(output: Any) -> Any:
    """An output as numpy sees it: of TensorFlow and JAX without a copy where that can be."""
    if keras.backend.backend() in ("tensorflow", "jax") and hasattr(output, "__array__"):
        return np.asarray(output)
    return keras.ops.convert_to_numpy(output)


def as_matrices(
    array: np.ndarray, dtype: np.dtype, image: bool | None = None, mask: np.ndarray | None = None
) -> Matrices:
    """An array that `one_array` gave, `(n, w)`, `(n, ..., w)` or images `(n, h, w, c)`, as `Matrices` in this dtype.

    Positions of a sequence, an image or a volume are columns, on a regular grid of at most 64; units are on the last
    axis.

    Args:
        array: the output.
        dtype: of the sums' products.
        image: whether two axes of positions are an image's, whose patches are features. Default None: yes.
        mask: of a sequence, shape `(n, t)`: False for positions that do not count. Default None: all count.

    Example:
    >>> as_matrices(np.ones((2, 16, 16, 4)), np.dtype("float64")).features
    'patches 3x3, every 2nd position'
    """
    if array.ndim == 2:
        columns = np.ascontiguousarray(array, dtype=dtype)
        return _of_columns(columns, columns, "units")
    count, channels = len(array), array.shape[-1]
    if mask is not None:
        return _masked(array, dtype, mask)
    vectors = array.reshape(count, -1, channels).mean(axis=1, dtype=dtype)
    if array.ndim != 4 or image is False:
        flat = array.reshape(count, -1, channels)
        stride = -(-flat.shape[1] // MAX_POSITIONS)
        columns = np.ascontiguousarray(flat[:, ::stride], dtype=dtype).reshape(-1, channels)
        return _of_columns(columns, vectors, _thinned("channels", stride))
    stride = max(1, int(np.ceil(np.sqrt(array.shape[1] * array.shape[2] / MAX_POSITIONS))))
    columns = np.ascontiguousarray(array[:, ::stride, ::stride], dtype=dtype).reshape(-1, channels)
    if 9 * channels > MAX_FEATURES or min(array.shape[1:3]) < 3:
        return _of_columns(columns, vectors, _thinned("channels", stride))
    patches = image_patches(array, 3, stride).astype(dtype, copy=False)
    np.maximum(patches, 0, out=patches)
    return Matrices(columns, patches, vectors, _thinned("patches 3x3", stride), not _negative(columns))


def _of_columns(columns: np.ndarray, vectors: np.ndarray, features: str) -> Matrices:
    """With `relu(A)` for features; the very array where nothing is negative, so that its products are made once."""
    repeated = not _negative(columns)
    return Matrices(columns, columns if repeated else np.maximum(columns, 0), vectors, features, repeated)


def _negative(columns: np.ndarray) -> bool:
    """Whether anything is below zero, or NaN."""
    return not (columns.size and columns.min() >= 0)


def _masked(array: np.ndarray, dtype: np.dtype, mask: np.ndarray) -> Matrices:
    """Of a sequence the positions that count: at most 64 of a sample, evenly spaced among its own."""
    kept, vectors = [], np.zeros((len(array), array.shape[-1]), dtype)
    for row, (rows, counts) in enumerate(zip(array, mask, strict=True)):
        own = rows[counts].astype(dtype, copy=False)
        if len(own):
            vectors[row] = own.mean(axis=0)
            kept.append(own[:: -(-len(own) // MAX_POSITIONS)])
    columns = np.concatenate(kept) if kept else np.zeros((0, array.shape[-1]), dtype)
    return _of_columns(columns, vectors, "channels, masked positions left out")


def _thinned(features: str, stride: int) -> str:
    return features if stride == 1 else f"{features}, every {_ordinal(stride)} position"


def _ordinal(number: int) -> str:
    """A number with its ending.

    >>> _ordinal(2), _ordinal(3), _ordinal(14)
    ('2nd', '3rd', '14th')
    """
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
