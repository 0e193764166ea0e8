"""An analysis in parts: each shard of the data writes its sums, any process merges them into the audit.

A part is an `.npz` of plain arrays: the sums, the weights and steps they belong to, and a JSON header. No pickle is
written or read.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from leaky_zoo.analysis.analyze import check_settings, collect_path
from leaky_zoo.analysis.audit import Audit
from leaky_zoo.analysis.path_audit import audit_path
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow import additive
from leaky_zoo.flow.collect import BATCH
from leaky_zoo.flow.description import PathModel, describe_path
from leaky_zoo.flow.stream import PathSums
from leaky_zoo.flow.sums import SUBSAMPLE, ClassSums, LayerSums, Subsample
from leaky_zoo.geometry import Moments, MomentumMoments
from leaky_zoo.io.archives import read_npz
from leaky_zoo.io.files import replacing
from leaky_zoo.io.reading import existing_file, one_line, parse_json
from leaky_zoo.networks import LeakyNetwork

FORMAT = "leaky-zoo part 1"


@dataclass(frozen=True)
class AuditPart:
    """The sums of one shard.

    Attributes:
        model: the network they belong to.
        sums: over the samples of the shard.
        settings: `gamma_0`, `products`, `samples` (of the whole data), `data`, `has_targets`.
        shard: `(i, n)`, the i-th of n, from 1.
    """

    model: PathModel
    sums: PathSums
    settings: dict[str, Any]
    shard: tuple[int, int]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the part, atomically."""
        model = asdict(self.model)
        weights, steps = model.pop("weights"), model.pop("step_sizes")
        header = {"format": FORMAT, "model": model, "settings": self.settings, "shard": list(self.shard)}
        header["shape"] = _shape(self.sums)
        arrays = {
            "header": np.frombuffer(json.dumps(header, allow_nan=False).encode(), dtype=np.uint8),
            "step_sizes": steps,
            **{f"weights.{row}": matrix for row, matrix in enumerate(weights)},
            **{f"sums.{name}": array for name, array in additive.to_arrays(self.sums).items()},
        }
        with replacing(path) as aside, aside.open("wb") as file:
            np.savez_compressed(file, **arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> "AuditPart":
        """Read a part that `save` wrote.

        Raises:
            InvalidInputError: no such file, or not a part; the message says what is wrong with it.
        """
        arrays = read_npz(existing_file(path, "part"))
        try:
            header = parse_json(arrays["header"].tobytes(), f"{path}: header")
            if header["format"] != FORMAT:
                raise InvalidInputError(f"{path} is no {FORMAT}. Received: format={header['format']!r}")
            depth, width, features = (int(header["shape"][key]) for key in ("depth", "width", "features"))
            if not (0 < depth <= 10_000 and 0 < width <= 100_000 and 0 < features <= 1_000_000):
                raise InvalidInputError(f"{path} has an impossible shape. Received: {header['shape']}")
            weights = [np.asarray(arrays[f"weights.{row}"], np.float64) for row in range(depth)]
            model = PathModel(**header["model"], weights=weights, step_sizes=np.asarray(arrays["step_sizes"]))
            sums = additive.from_arrays(
                _template(header["shape"]),
                {name.removeprefix("sums."): array for name, array in arrays.items() if name.startswith("sums.")},
            )
            place, count = header["shard"]
            part = cls(model, sums, dict(header["settings"]), (int(place), int(count)))
            part._check()
            return part
        except InvalidInputError as error:
            raise InvalidInputError(f"{path}: {error}".replace(f"{path}: {path}", str(path))) from error
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, MemoryError) as error:
            raise InvalidInputError(f"{path} is not a part of an audit: {one_line(error)}.") from error

    def _check(self) -> None:
        expected = {"gamma_0": float, "products": str, "samples": int, "data": dict, "has_targets": bool}
        for name, kind in expected.items():
            if not isinstance(self.settings.get(name), kind):
                raise InvalidInputError(f"A part's setting {name} must be {kind.__name__}.")
        check_settings(self.settings["gamma_0"], None, 2, self.settings["products"])
        if not 1 <= self.shard[0] <= self.shard[1]:
            raise InvalidInputError(f"A part's shard is I/N with 1 <= I <= N. Received: {self.shard}")
        if not all(np.isfinite(array).all() for array in additive.to_arrays(self.sums).values()):
            raise InvalidInputError("A part's sums must be finite.")


def analyze_part(
    network: LeakyNetwork,
    x: np.ndarray,
    y: np.ndarray | None,
    shard: tuple[int, int],
    *,
    gamma_0: float = 1e-5,
    data: dict[str, Any] | None = None,
    batch_size: int = BATCH,
    subsample: int = SUBSAMPLE,
    with_momenta: bool = True,
    products: str = "float64",
    track: Any = None,
) -> AuditPart:
    """The sums of one shard of the data: rows `N (i - 1) / n` to `N i / n`.

    Args:
        network: a `LeakyMLP` or `LeakyConvNet`.
        x: the **whole** data; only the shard's rows are used.
        y: labels or targets of the whole data, or None.
        shard: `(i, n)`, the i-th of n shards, from 1.
        gamma_0, data, batch_size, subsample, with_momenta, products, track: as `analyze`.

    Returns:
        The `AuditPart`.

    Raises:
        InvalidInputError: not one of our networks, a shard that is not there, or as `analyze`.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> net = LeakyMLP((4,), 2, width=6, depth=5, effective_depth=2.0, weight_decay=1e-3)
    >>> x, y = np.random.default_rng(0).normal(size=(100, 4)), np.zeros(100, int)
    >>> merge_parts([analyze_part(net, x, y, (i, 2)) for i in (1, 2)]).n
    100
    """
    if not isinstance(network, LeakyNetwork):
        raise InvalidInputError(f"Shards are for a LeakyMLP or LeakyConvNet. Received: {type(network).__name__}")
    check_settings(gamma_0, batch_size, subsample, products)
    place, count = shard
    if not 1 <= place <= count <= max(len(x), 1):
        raise InvalidInputError(
            f"`shard` is (i, n) with 1 <= i <= n <= {len(x)}, the samples. Received: shard={place}/{count}"
        )
    first, last = len(x) * (place - 1) // count, len(x) * place // count
    sums = collect_path(
        network,
        x[first:last],
        None if y is None else y[first:last],
        subsample=Subsample.of(len(x), subsample),
        first=first,
        batch_size=batch_size,
        with_momenta=with_momenta,
        products=products,
        track=track,
    )
    settings = {
        "gamma_0": float(gamma_0),
        "products": products,
        "samples": len(x),
        "data": dict(data or {}),
        "has_targets": y is not None or network.task == "autoencoding",
    }
    return AuditPart(describe_path(network), sums, settings, (place, count))


def merge_parts(parts: Sequence[AuditPart]) -> Audit:
    """The audit of the whole data from its parts, in any order.

    Args:
        parts: one for each shard.

    Returns:
        The `Audit`, as `analyze` of the whole data would give it.

    Raises:
        InvalidInputError: no parts, parts of different networks, data or settings, or a shard missing or there twice.
    """
    if not parts:
        raise InvalidInputError("There are no parts to merge.")
    first = parts[0]
    for part in parts[1:]:
        for what, one, two in (
            ("weights", first.model.about["weights_sha256"], part.model.about["weights_sha256"]),
            ("settings", first.settings, part.settings),
            ("number of shards", first.shard[1], part.shard[1]),
        ):
            if one != two:
                raise InvalidInputError(f"The parts differ in their {what}. Received: {one} and {two}")
    seen = sorted(part.shard[0] for part in parts)
    if seen != list(range(1, first.shard[1] + 1)):
        raise InvalidInputError(
            f"Each of the {first.shard[1]} shards is needed once. Received: {', '.join(map(str, seen))}"
        )
    total = first.sums
    try:
        for part in parts[1:]:
            total = additive.add(total, part.sums)
    except ValueError as error:
        raise InvalidInputError(f"The parts do not fit together: {error}") from error
    if total.samples != first.settings["samples"]:
        raise InvalidInputError(f"The parts hold {total.samples} samples; the data have {first.settings['samples']}.")
    settings = first.settings
    return audit_path(
        first.model, total, settings["gamma_0"], settings["data"], settings["has_targets"], settings["products"]
    )


def _shape(sums: PathSums) -> dict[str, int]:
    """What `_template` needs to know of the arrays."""
    layer = sums.layers[0]
    width, features = layer.moments.cross.shape
    return {
        "depth": len(sums.layers) - 1,
        "width": width,
        "features": features,
        "classes": 0 if layer.classes is None else len(layer.classes.counts),
        "sample": len(layer.sample),
        "momenta": int(sums.gradients is not None),
    }


def _template(shape: dict[str, int]) -> PathSums:
    """Empty sums of a shape: what `from_arrays` fills."""
    depth, width, features = (int(shape[key]) for key in ("depth", "width", "features"))
    classes, sample, momenta = (int(shape[key]) for key in ("classes", "sample", "momenta"))
    nothing = np.broadcast_to(0.0, (width, width)), np.broadcast_to(0.0, (features, features))
    moments = Moments(0, nothing[1], np.broadcast_to(0.0, (width, features)), nothing[0], np.zeros(width), 0.0)
    by_class = None
    if classes:
        by_class = ClassSums(np.zeros(classes), np.zeros((classes, width)), np.zeros(classes))
    layer = LayerSums(moments, by_class, np.broadcast_to(np.float32(0), (sample, width)))
    gradient = MomentumMoments(np.broadcast_to(0.0, (width, features)), 0.0, 0.0)
    return PathSums(
        samples=0,
        layers=(layer,) * (depth + 1),
        gradients=(gradient,) * depth if momenta else None,
        loss=0.0 if momenta else None,
        sample_labels=np.zeros(sample),
    )
