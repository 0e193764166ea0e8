"""Linear stretches of a chain to one affine map each (layer folding: Ben Dror et al., BMVC 2022)."""

from collections.abc import Collection, Sequence
from dataclasses import replace

import keras
import numpy as np

from leaky_zoo.compress.chain import Link, Map, Step


def fold(links: Sequence[Link], left_out: Collection[int]) -> list[Link]:
    """The chain without the ReLUs of some layers, each run of dense linear maps multiplied out.

    A run that reaches the head takes it in, one that begins at the stem takes the stem in. A single linear layer
    between two that are not stays a step without ReLU. 1 x 1 convolutions of stride 1 are multiplied out like dense
    maps where that costs no more numbers; of larger ones the ReLU alone is dropped: a 3 x 3 after a 3 x 3 is a 5 x 5.

    Args:
        links: as `read_chain` gives them.
        left_out: numbers of the layers whose ReLU goes.

    Returns:
        The chain, which computes the same as without these ReLUs, up to rounding.

    Example:
    >>> from leaky_zoo.compress.chain import read_chain
    >>> from leaky_zoo.networks import LeakyMLP
    >>> links = fold(read_chain(LeakyMLP((4,), 2, width=8, depth=5)), {3, 4, 5})
    >>> [link.name for link in links if isinstance(link, Map)]
    ['stem', 'block_1', 'block_2', 'block_3_to_head']
    """
    result: list[Link] = []
    run: list[Map] = []
    for link in links:
        if isinstance(link, Map) and link.layer in left_out:
            link = replace(link, relu=False)
        if isinstance(link, Map) and not link.relu and _can_multiply(link):
            run.append(link)
            continue
        result += _multiplied(run)
        run = []
        result.append(link)
    return result + _multiplied(run)


def _can_multiply(link: Map) -> bool:
    return link.dense or (link.factors[0].shape[0] == 1 and link.strides == 1)


def _multiplied(run: Sequence[Map]) -> list[Link]:
    if len(run) < 2:
        return list(run)
    matrix, bias = as_affine(run[0])
    for link in run[1:]:
        more, shift = as_affine(link)
        matrix, bias = matrix @ more, bias @ more + shift
    names = tuple(name for link in run for name in link.made_of)
    if not run[0].dense and matrix.size > sum(link.matrix.size for link in run):
        return list(run)
    name = f"{names[0]}_to_{names[-1]}"
    folded = replace(run[0], name=name, made_of=names, leak=None, layer=None)
    return [folded.with_matrix(matrix, bias=bias)]


def as_affine(link: Map) -> tuple[np.ndarray, np.ndarray]:
    """Matrix `(inputs, units)` and bias of a linear map, its leak included."""
    matrix = link.matrix
    return (matrix if link.leak is None else matrix + link.leak * np.eye(len(matrix))), link.bias


def remove_dead_units(links: Sequence[Link], energies: dict[str, np.ndarray], threshold: float) -> list[Link]:
    """The chain without the units of its dense path that are as good as zero before every map that reads them.

    Args:
        links: a chain.
        energies: for each map by name the second moment of each of its inputs, before the ReLU.
        threshold: units whose second moment is at most so much of the largest, everywhere, go.

    Returns:
        The chain; as it was where no unit is dead.
    """
    begin = next((place for place, link in enumerate(links) if isinstance(link, Map)), 0)
    inside = [link for link in links[begin:] if isinstance(link, Map)]
    if len(inside) < 2 or not all(link.dense for link in inside) or not _follow(links[begin:], inside):
        return list(links)
    readers = inside[1:]
    alive = np.zeros(inside[0].matrix.shape[1], bool)
    for link in readers:
        if len(link.matrix) != len(alive):
            return list(links)
        alive |= energies[link.name] > threshold * energies[link.name].max()
    if alive.all():
        return list(links)
    changed = {inside[0].name: _without(inside[0], None, alive)}
    for link in readers:
        last = link is readers[-1]
        changed[link.name] = _without(link, alive, None if last and link.leak is None else alive)
    return [changed.get(link.name, link) if isinstance(link, Map) else link for link in links]


def _follow(links: Sequence[Link], maps: Sequence[Map]) -> bool:
    """Whether the maps come one after another, with nothing between them."""
    return all(isinstance(link, Map) for link in links[: len(maps)])


def _without(link: Map, rows: np.ndarray | None, columns: np.ndarray | None) -> Map:
    matrix, bias = link.matrix, link.bias
    matrix = matrix if rows is None else matrix[rows]
    if columns is not None:
        matrix, bias = matrix[:, columns], bias[columns]
    return replace(link, factors=(matrix,), bias=bias)


def normalization_folded(
    links: Sequence[Link],
    largest_ratio: float = 8.0,
    largest_spread: float = np.inf,
    deviations: tuple[float, float] = (0.0, np.inf),
) -> list[Link]:
    """The chain with the normalisation of its inputs in its first map, and that of its outputs in its last one.

    Inputs only where the first map is dense, the mean is at most `largest_ratio` deviations (beyond it rounding
    grows), no deviation is more than `largest_spread` times another, and all are within `deviations`. Done last:
    training on raw inputs would be badly scaled.
    """
    result = list(links)
    places = [place for place, link in enumerate(result) if isinstance(link, Map | Step)]
    first, last = places[0], places[-1]
    before = [link for link in result[:first] if not isinstance(link, keras.layers.Flatten)]
    if len(before) == 1 and isinstance(before[0], keras.layers.Normalization) and result[first].dense:  # type: ignore[union-attr]
        mean, deviation = _statistics(before[0])
        least, most = deviation.min(), deviation.max()
        alike = most <= largest_spread * least and deviations[0] <= least and most <= deviations[1]
        if alike and np.max(np.abs(mean) / deviation) <= largest_ratio:
            result[first] = _scaled_inputs(result[first], mean, deviation, before[0])  # type: ignore[arg-type]
            result.remove(before[0])
            last -= 1
    after = result[last + 1 :]
    if len(after) == 1 and isinstance(after[0], keras.layers.Normalization) and after[0].invert:
        final, (mean, deviation) = result[last], _statistics(after[0])
        if isinstance(final, Step):
            shifted = final.bias * deviation + mean
            result[last] = replace(final, down=final.down * deviation, carry=final.carry * deviation, bias=shifted)
            result.remove(after[0])
        elif isinstance(final, Map) and final.leak is None and final.dense:
            scaled = (*final.factors[:-1], final.factors[-1] * deviation)
            result[last] = replace(final, factors=scaled, bias=final.bias * deviation + mean)
            result.remove(after[0])
    return result


def _statistics(layer: keras.layers.Normalization) -> tuple[np.ndarray, np.ndarray]:
    variance = keras.ops.convert_to_numpy(layer.variance).astype(np.float64)
    deviation = np.maximum(np.sqrt(variance), keras.config.epsilon())
    return keras.ops.convert_to_numpy(layer.mean).astype(np.float64).ravel(), deviation.ravel()


def _scaled_inputs(link: Map, mean: np.ndarray, deviation: np.ndarray, layer: keras.layers.Layer) -> Map:
    size = len(link.factors[0])
    shape = tuple(layer.input.shape[1:])
    mean, deviation = (np.broadcast_to(each, shape).reshape(size) for each in (mean, deviation))
    first = link.factors[0] / deviation[:, None]
    shift = mean @ first
    for factor in link.factors[1:]:
        shift = shift @ factor
    return replace(link, factors=(first, *link.factors[1:]), bias=link.bias - shift)


SMALLEST_PRODUCT = 1e-6  # of leaks: what is divided by it must not overflow
_HOMOGENEOUS = (keras.layers.ReLU, keras.layers.AveragePooling2D, keras.layers.GlobalAveragePooling2D)


def leaks_absorbed(links: Sequence[Link]) -> list[Link]:
    """The chain with convolutional steps whose leak is 1: `z_l / (c_1 .. c_l)` in place of `z_l`, undone after them.

    ReLU and averages commute with a positive factor; an ONNX runtime then fuses convolution and sum. Where a leak is
    not positive, the product of them too small, or something else lies between, the chain is as it was.
    """
    product, result = 1.0, []
    for link in links:
        if isinstance(link, Map) and link.leak is not None and not link.dense:
            if link.leak <= 0 or product * link.leak < SMALLEST_PRODUCT:
                return list(links)
            product *= link.leak
            scaled = (*link.factors[:-1], link.factors[-1] / link.leak)
            link = replace(link, factors=scaled, bias=link.bias / product, leak=1.0)
        elif product != 1.0 and isinstance(link, Map):
            if link.leak is not None:
                return list(links)
            link = replace(link, factors=(link.factors[0] * product, *link.factors[1:]))
            product = 1.0
        elif product != 1.0 and not (isinstance(link, _HOMOGENEOUS) or _is_relu(link)):
            return list(links)
        result.append(link)
    return result if product == 1.0 else list(links)


def _is_relu(link: Link) -> bool:
    return isinstance(link, keras.layers.Activation) and keras.activations.serialize(link.activation) == "relu"
