"""An analysis in parts: each shard of the data writes its sums, any process merges them into the audit.

A part is an `.npz` of plain arrays: the sums, the weights and steps they belong to, and a JSON header. No pickle is
written or read.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from leaky_zoo.analysis.audit import Audit
from leaky_zoo.analysis.content import with_content
from leaky_zoo.analysis.network_audit import audit_network
from leaky_zoo.analysis.network_sums import collect_shard
from leaky_zoo.analysis.settings import AnalysisSettings, checked_data
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow import nested_sums
from leaky_zoo.flow.description import NetworkDescription, PathDescription, describe_network
from leaky_zoo.flow.stream import NetworkSums, PathSums
from leaky_zoo.flow.sums import ClassSums, LayerSums
from leaky_zoo.geometry import Moments, MomentumMoments
from leaky_zoo.io.archives import read_npz
from leaky_zoo.io.files import replacing
from leaky_zoo.io.reading import existing_file, one_line, parse_json
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.networks.ours import require_ours

FORMAT = "leaky-zoo part 2"


@dataclass(frozen=True)
class AuditPart:
    """The sums of one shard.

    Attributes:
        network: what they belong to.
        sums: over the samples of the shard.
        settings: what they were made with, apart from the batch size, which changes nothing.
        data: what the samples are, as `{"name", "split"}`.
        samples: of the whole data.
        has_targets: whether the samples came with targets.
        shard: `(i, n)`, the i-th of n, from 1.
    """

    network: NetworkDescription
    sums: NetworkSums
    settings: AnalysisSettings
    data: dict[str, Any]
    samples: int
    has_targets: bool
    shard: tuple[int, int]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the part, atomically."""
        network = asdict(self.network)
        arrays: dict[str, Any] = {f"sums.{name}": array for name, array in nested_sums.to_arrays(self.sums).items()}
        for number, path_of in enumerate(network["paths"]):
            arrays[f"step_sizes.{number}"] = path_of.pop("step_sizes")
            arrays |= {f"weights.{number}.{layer}": each for layer, each in enumerate(path_of.pop("weights"))}
        header = {
            "format": FORMAT,
            "network": network,
            "settings": asdict(self.settings),
            **{name: getattr(self, name) for name in ("data", "samples", "has_targets", "shard")},
            "shape": _shape(self.sums),
        }
        arrays["header"] = np.frombuffer(json.dumps(header, allow_nan=False).encode(), dtype=np.uint8)
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
                raise InvalidInputError(
                    f"{path} is not a file of format {FORMAT}. Received: format={header['format']!r}"
                )
            sums = nested_sums.from_arrays(
                _template(header["shape"]),
                {name.removeprefix("sums."): array for name, array in arrays.items() if name.startswith("sums.")},
            )
            network = NetworkDescription(**{**header["network"], "paths": _paths(header, arrays)})
            facts = {name: header[name] for name in ("data", "samples", "has_targets")}
            settings, (number, count) = AnalysisSettings(**header["settings"]), header["shard"]
            part = cls(network, sums, settings, **facts, shard=(int(number), int(count)))
            part._check()
            return part
        except InvalidInputError as error:
            raise InvalidInputError(f"{path}: {error}".replace(f"{path}: {path}", str(path))) from error
        except (ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError, MemoryError) as error:
            raise InvalidInputError(f"{path} is not a part of an audit: {one_line(error)}.") from error

    def _check(self) -> None:
        for name, kind in {"samples": int, "data": dict, "has_targets": bool}.items():
            if not isinstance(getattr(self, name), kind):
                raise InvalidInputError(f"A part's {name} must be {kind.__name__}.")
        if not 1 <= self.shard[0] <= self.shard[1]:
            raise InvalidInputError(f"A part's shard is I/N with 1 <= I <= N. Received: {self.shard}")
        if not all(np.isfinite(array).all() for array in nested_sums.to_arrays(self.sums).values()):
            raise InvalidInputError("A part's sums must be finite.")


def analyze_part(
    network: LeakyNetwork,
    x: np.ndarray,
    y: np.ndarray | None,
    shard: tuple[int, int],
    settings: AnalysisSettings | None = None,
    *,
    data: dict[str, Any] | None = None,
    track: Any = None,
) -> AuditPart:
    """The sums of one shard of the data: rows `N (i - 1) / n` to `N i / n`.

    Args:
        network: a `LeakyMLP`, `LeakyConvNet` or `LeakyResNet`.
        x: the **whole** data; only the shard's rows are used.
        y: labels or targets of the whole data, or None.
        shard: `(i, n)`, the i-th of n shards, from 1.
        settings, data, track: as `analyze`.

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
    require_ours(network, "An audit in shards")
    data = checked_data(data)
    chosen = settings or AnalysisSettings()
    chosen.refuse_clarke("shards: it needs all samples at once")
    if chosen.relu_samples:
        raise InvalidInputError(
            f"A shard cannot leave ReLUs out: use relu_samples=0. Received: relu_samples={chosen.relu_samples}"
        )
    number, count = shard
    if not 1 <= number <= count <= max(len(x), 1):
        raise InvalidInputError(
            f"`shard` is (i, n) with 1 <= i <= n <= {len(x)}, the samples. Received: shard={number}/{count}"
        )
    return AuditPart(
        describe_network(network),
        collect_shard(network, x, y, shard, chosen, track=track),
        replace(chosen, batch_size=None),
        data=with_content(network, x, y, data) or {},
        samples=len(x),
        has_targets=y is not None or network.task.from_inputs,
        shard=(number, count),
    )


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
        for what, (one, two) in {
            "weights": [each.network.about["weights_sha256"] for each in (first, part)],
            "settings": [(each.settings, each.data, each.samples, each.has_targets) for each in (first, part)],
            "number of shards": [each.shard[1] for each in (first, part)],
        }.items():
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
            total = nested_sums.add(total, part.sums)
    except ValueError as error:
        raise InvalidInputError(f"The parts do not fit together: {error}") from error
    if total.samples != first.samples:
        raise InvalidInputError(f"The parts hold {total.samples} samples; the data have {first.samples}.")
    return audit_network(first.network, total, first.settings, first.data, first.has_targets)


def _shape(sums: NetworkSums) -> dict[str, Any]:
    """What `_template` needs to know of the arrays."""
    first = sums.paths[0].layers[0]
    cross = [path.layers[0].moments.cross for path in sums.paths]
    return {
        "paths": [[len(path.layers) - 1, *each.shape] for path, each in zip(sums.paths, cross, strict=True)],
        "classes": 0 if first.classes is None else len(first.classes.counts),
        "sample": len(first.sample),
        "momenta": int(sums.loss is not None),
    }


def _template(shape: dict[str, Any]) -> NetworkSums:
    """Empty sums of a shape: what `from_arrays` fills."""
    classes, sample, momenta = (int(shape[key]) for key in ("classes", "sample", "momenta"))
    paths = []
    for depth, width, features in shape["paths"]:
        if not (0 < depth <= 10_000 and 0 < width <= 100_000 and 0 < features <= 1_000_000):
            raise InvalidInputError(f"The shape is impossible. Received: {shape}")
        by_width, gram, cross = (
            np.broadcast_to(0.0, sides) for sides in ((width, width), (features, features), (width, features))
        )
        by_class = ClassSums(np.zeros(classes), np.zeros((classes, width)), np.zeros(classes)) if classes else None
        moments = Moments(0, gram, cross, by_width, np.zeros(width), 0.0, 0.0)
        layer = LayerSums(moments, by_class, np.broadcast_to(np.float32(0), (sample, width)))
        gradients = (MomentumMoments(cross, 0.0, 0.0),) * depth if momenta else None
        paths.append(PathSums((layer,) * (depth + 1), gradients))
    return NetworkSums(0, tuple(paths), 0.0 if momenta else None, np.zeros(sample))


def _paths(header: dict[str, Any], arrays: dict[str, np.ndarray]) -> list[PathDescription]:
    found = []
    for number, (fields, (depth, _, _)) in enumerate(
        zip(header["network"]["paths"], header["shape"]["paths"], strict=True)
    ):
        weights = [np.asarray(arrays[f"weights.{number}.{layer}"], np.float64) for layer in range(depth)]
        found.append(PathDescription(**fields, weights=weights, step_sizes=arrays[f"step_sizes.{number}"]))
    return found
