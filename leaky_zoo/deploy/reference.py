"""What lets an exported file watch itself for drift: an output with its bottleneck coordinates, and their reference.

Five nodes after one layer: the representation less its mean, one Gemm to `k` coordinates, one back, and the sum of
squares of what that leaves. Works on any float32 graph whose tensors are named, so on compressed ones too.
"""

import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from leaky_zoo.deploy.graph import BATCH
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.runtime.calibration import make_reference
from leaky_zoo.runtime.drift import MAX_DIRECTIONS
from leaky_zoo.runtime.session import open_session

OUTPUT_NAME = "bottleneck"
CLEAR_GAP = 5.0
MOST_CHOSEN = 20  # directions that are looked at for a gap
SMALLEST_RATIO = 1e-3  # of the least kept singular value to the largest: covariances stay well conditioned
_STEP = re.compile(r"^(stage_\d+_)?block_(\d+)/step$")
_OUTPUT = re.compile(r"^representation_(\d+)$")


def add_reference(
    model: onnx.ModelProto,
    data: np.ndarray,
    *,
    tensors: Sequence[str] | None = None,
    directions: int | None = None,
    seed: int = 0,
    float16: bool = False,
) -> dict[str, Any]:
    """Add the output `bottleneck` to a graph, and measure what it gives on data the network was not trained on.

    A random third of the samples gives the directions, the rest mean, covariance and calibration. `k` is where the
    centred representations have the largest gap between neighbouring singular values, among the first 20. The layer is
    the first with a gap of 5 and more, since later ones have forgotten more of what is strange in their input; where
    no gap is so large, the one with the largest. Images' representations are averaged over their places. This project.

    Args:
        model: one float32 input; changed in place only when all has been measured.
        data: raw samples, shape `(n, *input_shape)`, as float32; like those that will come, and not trained on.
        tensors: names of the representations to choose from. Default None: every block's but the first and the last.
        directions: `k`, 1 to 256. Default None: where the gap is.
        seed: of the split and the resampling. Default 0.
        float16: keep mean and basis in 16 bits, as a compressed file does; all is measured with them as they are kept.
            Default False.

    Returns:
        `leaky_zoo.reference`.

    Raises:
        InvalidInputError: no such tensor, too few samples, or more directions than the tensor has.

    Example:
    >>> from leaky_zoo.deploy.build import build_onnx
    >>> from leaky_zoo.networks import LeakyMLP
    >>> model = build_onnx(LeakyMLP((4,), 3, width=8, depth=5, effective_depth=2.0))
    >>> data = np.random.default_rng(0).normal(size=(400, 4)).astype("float32")
    >>> add_reference(model, data, directions=2)["directions"], model.graph.output[-1].name
    (2, 'bottleneck')
    """
    if directions is not None and not (isinstance(directions, int) and 1 <= directions <= MAX_DIRECTIONS):
        raise InvalidInputError(
            f"`directions` must be a whole number, 1 to {MAX_DIRECTIONS}, or None. Received: directions={directions!r}"
        )
    known = [name for node in model.graph.node for name in node.output]
    names = list(tensors) if tensors is not None else _representations(known)
    if not names or not set(names) <= set(known):
        raise InvalidInputError(
            f"A reference needs the names of tensors of the graph that hold representations. "
            f"Received: tensors={tensors!r}, of which {sorted(set(names) - set(known))} are not in the graph"
        )
    order = np.random.default_rng(seed).permutation(len(data))
    first, rest = data[order[: len(order) // 3]], data[order[len(order) // 3 :]]
    if len(first) < 2:
        raise InvalidInputError(f"A reference needs samples to choose directions with. Received: {len(data)} samples")
    tensor, mean, basis, gap = _choose(model, names, first, directions)
    result = onnx.ModelProto.FromString(model.SerializeToString())
    _add_nodes(result, tensor, mean, basis, _rank(model, tensor, data[:1]), float16)
    value = make_reference(_run(result, [OUTPUT_NAME], rest)[0], OUTPUT_NAME, seed=seed)
    model.CopyFrom(result)
    about = {"tensor": tensor, "layer": _layer_of(tensor, known), "gap": float(f"{gap:.4g}")}
    held = {name: f"{OUTPUT_NAME}/{name}" + ("/float16" if float16 else "") for name in ("mean", "basis")}
    return {**about, "initializers": held, **value}


def _representations(known: Sequence[str]) -> list[str]:
    """What the blocks write, the first and the last left out; the outputs of `representations=True` count from 0."""
    steps = [name for name in known if _STEP.match(name)]
    steps = steps or [name for name in known if _OUTPUT.match(name) and name != "representation_0"]
    return steps[1:-1] if len(steps) > 2 else steps


def _layer_of(tensor: str, known: Sequence[str]) -> int | None:
    """The layer whose step a tensor is, as audits count them: through all stages."""
    if output := _OUTPUT.match(tensor):
        return int(output[1])
    found = _STEP.match(tensor)
    if found is None or found[1] is None:
        return int(found[2]) if found else None
    return [name for name in known if _STEP.match(name)].index(tensor) + 1


def _choose(
    model: onnx.ModelProto, names: Sequence[str], data: np.ndarray, directions: int | None
) -> tuple[str, np.ndarray, np.ndarray, float]:
    """The chosen tensor, its mean, its main directions as columns, and the gap after them."""
    best: tuple[str, np.ndarray, np.ndarray, float] | None = None
    for name, (mean, covariance) in _moments(model, names, data).items():
        values, vectors = np.linalg.eigh(covariance)
        spectrum = np.sqrt(np.maximum(values[::-1], 1e-14 * max(values[-1], 1e-200)))
        most = min(MOST_CHOSEN, len(spectrum) - 1, int((spectrum > SMALLEST_RATIO * spectrum[0]).sum()))
        if most < 1 and directions is None:
            continue  # of one dimension: nothing is outside of it
        if directions is not None and directions >= len(spectrum):
            raise InvalidInputError(
                f"{name} has {len(spectrum)} dimensions; `directions` must be fewer. Received: directions={directions}"
            )
        ratios = spectrum[:most] / spectrum[1 : most + 1]
        place = directions - 1 if directions is not None else int(np.argmax(ratios))
        gap = float(spectrum[place] / spectrum[place + 1])
        if best is None or gap > best[3]:
            best = name, mean, vectors[:, ::-1][:, : place + 1], gap
        if gap >= CLEAR_GAP:
            break
    if best is None:
        raise InvalidInputError(
            f"A reference needs representations of two dimensions or more. Received: {', '.join(names[:3])} of one"
        )
    return best


def _moments(
    model: onnx.ModelProto, names: Sequence[str], data: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Mean and covariance of each tensor, images averaged over their places."""
    tapped = onnx.ModelProto.FromString(model.SerializeToString())
    tapped.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    sums: list[Any] = [0.0] * len(names)
    products: list[Any] = [0.0] * len(names)
    for parts in _batches(tapped, names, data):
        for row, part in enumerate(parts):
            flat = part.reshape(*part.shape[:2], -1).mean(-1).astype(np.float64)
            sums[row] = sums[row] + flat.sum(0)
            products[row] = products[row] + flat.T @ flat
    means = [total / len(data) for total in sums]
    return {
        name: (mean, product / len(data) - np.outer(mean, mean))
        for name, mean, product in zip(names, means, products, strict=True)
    }


def _batches(model: onnx.ModelProto, names: Sequence[str], data: np.ndarray) -> Iterator[list[np.ndarray]]:
    session = open_session(model.SerializeToString())
    source = session.get_inputs()[0].name
    size = max(1, min(256, 4_000_000 // max(1, math.prod(data.shape[1:]))))
    for begin in range(0, len(data), size):
        yield session.run(list(names), {source: data[begin : begin + size]})


def _run(model: onnx.ModelProto, names: Sequence[str], data: np.ndarray) -> list[np.ndarray]:
    return [np.concatenate(column) for column in zip(*_batches(model, names, data), strict=True)]


def _rank(model: onnx.ModelProto, tensor: str, sample: np.ndarray) -> int:
    tapped = onnx.ModelProto.FromString(model.SerializeToString())
    tapped.graph.output.append(helper.make_tensor_value_info(tensor, TensorProto.FLOAT, None))
    return _run(tapped, [tensor], sample)[0].ndim


def _add_nodes(
    model: onnx.ModelProto, tensor: str, mean: np.ndarray, basis: np.ndarray, rank: int, float16: bool
) -> None:
    graph = model.graph
    opset = next(each.version for each in model.opset_import if each.domain in ("", "ai.onnx"))

    def constant(name: str, values: np.ndarray) -> str:
        kept, kind = (f"{name}/float16", np.float16) if float16 else (name, np.float32)
        graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(values, kind), kept))
        return node("Cast", [kept], name, to=TensorProto.FLOAT) if float16 else name

    def node(op: str, inputs: list[str], name: str, **attributes: Any) -> str:
        graph.node.append(helper.make_node(op, inputs, [name], name=name, **attributes))
        return name

    if rank > 2:
        pooled = node("GlobalAveragePool", [tensor], f"{OUTPUT_NAME}/pool")
        tensor = node("Flatten", [pooled], f"{OUTPUT_NAME}/flatten", axis=1)
    matrix = constant(f"{OUTPUT_NAME}/basis", basis)
    centred = node("Sub", [tensor, constant(f"{OUTPUT_NAME}/mean", mean)], f"{OUTPUT_NAME}/centre")
    coordinates = node("Gemm", [centred, matrix], f"{OUTPUT_NAME}/coordinates")
    outside = node("Gemm", [coordinates, matrix, centred], f"{OUTPUT_NAME}/outside", transB=1, alpha=-1.0)
    if opset < 18:
        energy = node("ReduceSumSquare", [outside], f"{OUTPUT_NAME}/energy", axes=[1], keepdims=1)
    else:  # axes are an input there
        axes = numpy_helper.from_array(np.array([1], np.int64), f"{OUTPUT_NAME}/axes")
        graph.initializer.append(axes)
        energy = node("ReduceSumSquare", [outside, axes.name], f"{OUTPUT_NAME}/energy", keepdims=1)
    node("Concat", [coordinates, energy], OUTPUT_NAME, axis=1)
    graph.output.append(helper.make_tensor_value_info(OUTPUT_NAME, TensorProto.FLOAT, [BATCH, basis.shape[1] + 1]))
