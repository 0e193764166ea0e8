"""The half of an audit that needs no loss, for any Keras model: one row for each layer, or the reason why not."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import wraps
from importlib.metadata import version
from typing import Any

import keras
import numpy as np
from threadpoolctl import threadpool_limits

from leaky_zoo.analysis.audit import Audit, BottleneckRank, LayerAudit
from leaky_zoo.analysis.statistics import GAMMA_SWEEP, identity_statistics, representation_statistics
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow.description import weights_sha256
from leaky_zoo.flow.sums import LayerAccumulator, LayerSums, Subsample
from leaky_zoo.layers.conv import image_patches

MAX_WIDTH = 4096  # rows of A: its second moment has as many squared
MAX_FEATURES = 1200  # rows of s(A): a patch matrix beyond that is replaced by the channels
MAX_POSITIONS = 64  # of an image or a sequence; more are thinned out to a regular grid
MAX_CLASSES = 1000
NOT_CALLED = "not called while the model ran"


def analyze_any(
    model: keras.Model,
    x: np.ndarray,
    y: np.ndarray | None,
    gamma_0: float,
    data: dict[str, Any],
    layers: Sequence[str] | None,
    batch_size: int,
    subsample: int,
    products: str,
    track: Any,
) -> Audit:
    """The representation-level audit of a model that is not ours; arguments as `analyze`.

    Raises:
        InvalidInputError: no Keras model, no sample, names that are no layers, or a model that cannot take the samples.
    """
    if not isinstance(model, keras.Model):
        raise InvalidInputError(f"analyze takes a Keras model. Received: {type(model).__name__}")
    if not len(x):
        raise InvalidInputError("There is no sample to analyse. Received: x of length 0")
    labels, classes = _labels(y, len(x))
    chosen = _named_layers(model, layers)
    recorder = _Recorder(list(chosen), classes, Subsample.of(len(x), subsample), products)
    starts = range(0, len(x), batch_size)
    with threadpool_limits(1), _watching(chosen, recorder.add):
        for start in track(starts) if track else starts:
            stop = start + batch_size
            recorder.begin(start, len(x[start:stop]), None if labels is None else labels[start:stop])
            try:
                model(keras.ops.convert_to_tensor(x[start:stop]), training=False)
            except (ValueError, TypeError) as error:
                if isinstance(error, InvalidInputError):
                    raise
                raise InvalidInputError(
                    f"The model {model.name} does not take these samples: {str(error).splitlines()[0]} "
                    f"Received: x.shape={x.shape}, dtype={x.dtype}"
                ) from error
    with threadpool_limits(1):
        rows = recorder.rows({name: type(layer).__name__ for name, layer in chosen.items()}, gamma_0, track)
    about = {"name": None, "split": None, **data, "is_training_split": None}
    why = "needs a LeakyMLP or LeakyConvNet that knows its loss, mu and training data"
    return Audit(
        model={
            "name": model.name,
            "class": type(model).__name__,
            **dict.fromkeys(("effective_depth", "width", "task", "schedule")),
            "depth": len(rows),
            "weights_sha256": weights_sha256(model),
        },
        data=about,
        n=len(x),
        columns=len(x),
        gamma_0=gamma_0,
        gamma_sweep=list(GAMMA_SWEEP),
        weight_decay=None,
        io_weight_decay=None,
        dtype=str(model.dtype_policy.variable_dtype),
        loss=None,
        input={},
        layers=rows,
        summary={"measured_layers": sum(row.reason is None for row in rows)},
        kind="representations",
        bottleneck_rank=BottleneckRank(None, None, None, "not one of our networks: no energies, rank not reported", []),
        subsample={"samples": len(recorder.subsample.rows), "rule": "evenly spaced rows of the data"},
        products=products,
        undefined={
            **dict.fromkeys(("hamiltonian", "criticality_residual", "momentum_norm", "kinetic_energy", "bounds"), why),
            **({} if classes else {"within_class_fraction": "needs integer labels"}),
        },
        warnings=_warnings(rows),
        versions={name: version(name) for name in ("leaky-zoo", "keras", "numpy", "scipy", "scikit-dimension")},
    )


class _Layer:
    """The sums of one layer, as its outputs come by; or the reason why there are none."""

    def __init__(self) -> None:
        self.reason: str | None = NOT_CALLED
        self.features: str | None = None
        self.sums: LayerAccumulator | None = None


class _Recorder:
    """Takes the outputs of the watched layers, batch by batch, and keeps nothing but sums.

    Args:
        names: of the layers.
        classes: number of classes; 0 for none.
        subsample: samples whose (pooled) representations are kept.
        products: as `MomentSums`.
    """

    def __init__(self, names: list[str], classes: int, subsample: Subsample, products: str) -> None:
        self._names = names
        self.layers: dict[str, _Layer] = {}  # in the order of their first call
        self.subsample, self._classes, self._products = subsample, classes, products
        self._seen: set[str] = set()

    def begin(self, start: int, count: int, labels: np.ndarray | None) -> None:
        """Say which samples the next outputs belong to."""
        self._start, self._count, self._labels, self._seen = start, count, labels, set()

    def add(self, name: str, output: Any) -> None:
        """Take one output."""
        layer = self.layers.setdefault(name, _Layer())
        if layer.reason not in (None, NOT_CALLED):
            return
        array, layer.reason = _one_array(output, self._count)
        if array is not None and name in self._seen:
            layer.reason = "called more than once in the model: which call is meant is not known"
        self._seen.add(name)
        if layer.reason is None and array is not None:
            columns, activations, vectors, layer.features = _matrices(array, np.dtype(self._products))
            if not np.isfinite(columns).all():
                layer.reason = "its outputs hold NaN or infinity"
        if layer.reason is not None:
            layer.sums = None
            return
        if layer.sums is None:
            sample = np.zeros((len(self.subsample.rows), vectors.shape[1]), np.float32)
            layer.sums = LayerAccumulator(
                columns.shape[1], activations.shape[1], True, self._classes, sample, products=self._products
            )
        layer.sums.add(columns, activations, vectors, self._labels, *self.subsample.within(self._start, self._count))

    def rows(self, kinds: dict[str, str], gamma_0: float, track: Any = None) -> list[LayerAudit]:
        """One row for each layer; the decompositions of several layers run at once."""
        never = {name: _Layer() for name in self._names if name not in self.layers}
        every = list({**self.layers, **never}.items())

        def measure(place: int) -> LayerAudit:
            name, layer = every[place]
            return _row(place + 1, name, kinds[name], layer, gamma_0)

        places = range(len(every))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            measured = pool.map(measure, places)
            rows = [row for _, row in zip(track(places) if track else places, measured, strict=True)]
        before = None
        for place, (_, layer) in enumerate(every):
            if rows[place].reason is None and layer.sums is not None:
                if before is not None:
                    rows[place] = replace(rows[place], cka_with_previous=sample_cka(before, layer.sums.sample))
                before = layer.sums.sample
        return rows


def _row(place: int, name: str, kind: str, layer: _Layer, gamma_0: float) -> LayerAudit:
    moments = layer.sums.sums.moments() if layer.sums else None
    if moments is None or layer.sums is None or not moments.squared > 0:
        return LayerAudit(layer=place, name=name, kind=kind, reason=layer.reason or "its outputs are all zero")
    sums = LayerSums(moments, layer.sums.classes(), layer.sums.sample)
    return LayerAudit(
        layer=place,
        name=name,
        kind=kind,
        width=moments.total.size,
        columns=moments.count,
        features=layer.features,
        **identity_statistics(sums, gamma_0),
        **representation_statistics(sums),
    )


def _one_array(output: Any, count: int) -> tuple[np.ndarray | None, str | None]:
    """A layer's output as an array with one row per sample, or the reason why it is none."""
    if isinstance(output, list | tuple | dict):
        return None, f"its output is a {type(output).__name__}, not one array"
    array = keras.ops.convert_to_numpy(output)
    if array.dtype.name in ("bfloat16", "float16"):
        array = array.astype(np.float32)
    if not np.issubdtype(array.dtype, np.floating):
        return None, f"its output is {array.dtype}, not real numbers"
    if array.ndim < 2 or len(array) != count or array.size == 0:
        return None, f"its output has shape {array.shape}, without one row for each sample"
    if array.shape[-1] > MAX_WIDTH:
        size = array.shape[-1] ** 2 * 8 / 1e9
        return None, f"its width {array.shape[-1]} is above {MAX_WIDTH}: its second moment would take {size:.1f} GB"
    return array, None


def _matrices(array: np.ndarray, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, np.ndarray, str]:
    """Columns of `A`, `s(A)` without ones, one vector for each sample, and what `s(A)` is."""
    if array.ndim == 2:
        columns = np.ascontiguousarray(array, dtype=dtype)
        return columns, np.maximum(columns, 0), columns, "units"
    count, channels = len(array), array.shape[-1]
    vectors = array.reshape(count, -1, channels).mean(axis=1, dtype=dtype)
    if array.ndim != 4:
        flat = array.reshape(count, -1, channels)
        stride = -(-flat.shape[1] // MAX_POSITIONS)
        columns = np.ascontiguousarray(flat[:, ::stride], dtype=dtype).reshape(-1, channels)
        return columns, np.maximum(columns, 0), vectors, _thinned("channels", stride)
    stride = max(1, int(np.ceil(np.sqrt(array.shape[1] * array.shape[2] / MAX_POSITIONS))))
    columns = np.ascontiguousarray(array[:, ::stride, ::stride], dtype=dtype).reshape(-1, channels)
    if 9 * channels > MAX_FEATURES or min(array.shape[1:3]) < 3:
        return columns, np.maximum(columns, 0), vectors, _thinned("channels", stride)
    patches = image_patches(np.maximum(array, 0), 3, stride).astype(dtype, copy=False)
    return columns, np.ascontiguousarray(patches), vectors, _thinned("patches 3x3", stride)


def _thinned(features: str, stride: int) -> str:
    return features if stride == 1 else f"{features}, every {_ordinal(stride)} position"


def _ordinal(number: int) -> str:
    """A number as a place.

    >>> _ordinal(2), _ordinal(3), _ordinal(14)
    ('2nd', '3rd', '14th')
    """
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def sample_cka(first: np.ndarray, second: np.ndarray) -> float | None:
    """Linear CKA of the same samples in two representations, one row per sample, in [0, 1]; None if one is constant.

    >>> round(sample_cka(np.eye(4), 2 * np.eye(4)), 6)
    1.0
    """
    grams = []
    for rows in (first, second):
        centred = np.asarray(rows, dtype=np.float64) - np.mean(rows, axis=0, dtype=np.float64)
        grams.append(centred @ centred.T)
    scale = float(np.linalg.norm(grams[0]) * np.linalg.norm(grams[1]))
    return float(np.vdot(*grams)) / scale if scale > 0 else None


def _labels(y: np.ndarray | None, count: int) -> tuple[np.ndarray | None, int]:
    """Integer labels and the number of classes; none for targets that are no labels."""
    if y is None:
        return None, 0
    y = np.asarray(y)
    if len(y) != count:
        raise InvalidInputError(f"`x` and `y` must have equally many samples. Received: {count} and {len(y)}")
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer) or y.min() < 0 or y.max() >= MAX_CLASSES:
        return None, 0
    return y, int(y.max()) + 1


def _named_layers(model: keras.Model, names: Sequence[str] | None) -> dict[str, keras.layers.Layer]:
    """The layers to watch by name: all of them, those inside nested models and composite layers too, or the named."""
    found: dict[str, keras.layers.Layer] = {}
    # Keras has no public walk through composite layers; `model.layers` stops at them.
    for layer in model._flatten_layers(include_self=False):
        if isinstance(layer, keras.layers.InputLayer):
            continue
        name, place = layer.name, 2
        while name in found:  # nested models may repeat names
            name, place = f"{layer.name}:{place}", place + 1
        found[name] = layer
    if names is None:
        if not found:
            raise InvalidInputError(f"{model.name} has no layer to analyse.")
        return found
    unknown = [name for name in names if name not in found]
    if unknown or not names:
        raise InvalidInputError(
            f"{model.name} has the layers {', '.join(found)}. Received: layers={', '.join(names) or 'none'}"
        )
    return {name: found[name] for name in names}


@contextmanager
def _watching(layers: dict[str, keras.layers.Layer], see: Callable[[str, Any], None]) -> Iterator[None]:
    """While this lasts, every call of these layers hands its output to `see`; nothing is kept of it."""

    def watched(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            output = call(*args, **kwargs)
            see(name, output)
            return output

        return wrapper

    # On the instance, around Keras's tracking of attributes: nothing of this is saved or left behind.
    for name, layer in layers.items():
        object.__setattr__(layer, "call", watched(name, layer.call))
    try:
        yield
    finally:
        for layer in layers.values():
            object.__delattr__(layer, "call")


def _warnings(rows: list[LayerAudit]) -> list[str]:
    left_out = [row for row in rows if row.reason is not None]
    found = ["Not one of our networks: energies, momenta and a rank need its loss, mu and training data."]
    if left_out:
        found.append(f"{len(left_out)} of {len(rows)} layers have no numbers; each row says why.")
    if any(row.features and "channels" in row.features for row in rows):
        found.append(
            f"Where `features` says channels the patch matrix would have more than {MAX_FEATURES} rows or makes no "
            "sense: the cost of identity there is that of single positions."
        )
    return found
