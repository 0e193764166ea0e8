"""A trained net with another number of layers along the same path."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
from scipy.linalg import cho_factor, cho_solve

from leaky_zoo.arguments import naming_the_nearest, whole
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.layers import Fixed, LeakyBlock, Schedule, get_schedule
from leaky_zoo.layers.schedules.base import bounded_simplex
from leaky_zoo.networks.layer_changes import changes_of
from leaky_zoo.networks.network import LeakyNetwork
from leaky_zoo.networks.paths import LeakyPath

BATCH = 1000


@naming_the_nearest
def resample(
    network: LeakyNetwork,
    depth: int | Sequence[int],
    schedule: str | Schedule | dict[str, Any] | None = None,
    *,
    x: np.ndarray | None = None,
    gamma_0: float = 1e-5,
) -> LeakyNetwork:
    """Discretise a trained net's paths again, each with `depth` steps (this project).

    Without data the weights are `W_p` of the given net, averaged over each new step. With data every new block is
    then fitted, one after the other, to arrive where the given net's path is at its `p` (linear between the layers):
    ridge regression towards the averaged weights, in float64. A block sees what the new blocks before it really give,
    so errors do not add up, along a path and from one path to the next. `rho L~ <= cap` bounds the depth from below.

    Args:
        network: the trained net; left alone.
        depth: `L'` of every path, or one for each path; at least 1, at least `L~ / cap`.
        schedule: the new step sizes of every path; one that moves during training starts where it starts. Default
            None: each path's own step sizes, stretched over its new number of steps and clipped to their cap, as a
            `fixed` schedule.
        x: raw inputs to fit on, the more the better; three layers of all of them are held in memory. Default None: no
            fit.
        gamma_0: ridge, relative to `||s(A)||_op^2`, positive. Default 1e-5.

    Returns:
        A net of the same family, dtype, stem and head.

    Raises:
        InvalidInputError: a depth that the cap refuses, no sample, samples of another shape or that are not finite, or
            `gamma_0` out of range.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> net = LeakyMLP((4,), 2, width=8, depth=12, effective_depth=3.0)
    >>> small = resample(net, 8)
    >>> small.paths[0].depth, round(float(small.paths[0].step_sizes[0]), 3)
    (8, 0.125)
    """
    if not gamma_0 > 0:
        raise InvalidInputError(f"`gamma_0` must be positive. Received: gamma_0={gamma_0}")
    if x is not None:
        shape = tuple(network.input_shape[1:])
        if np.ndim(x) == 0 or not len(x) or np.shape(x)[1:] != shape:
            raise InvalidInputError(f"`x` is at least one sample of shape {shape}. Received: x of shape {np.shape(x)}")
        if not np.isfinite(x).all():
            raise InvalidInputError("`x` must be finite. Received: NaN or infinity in x")
    depths = list(depth) if isinstance(depth, Sequence) and not isinstance(depth, str) else [depth] * len(network.paths)
    depths = [whole("depth", each) for each in depths]
    if len(depths) != len(network.paths) or not all(each >= 1 for each in depths):
        raise InvalidInputError(
            f"`depth` must be at least 1; a number, or one for each of {len(network.paths)} paths. "
            f"Received: depth={depth}"
        )
    pairs = zip(network.paths, depths, strict=True)
    schedules = [_stretched(path, each) if schedule is None else get_schedule(schedule) for path, each in pairs]
    config = {**network.get_config(), **network.config.rediscretized(depths, schedules)}
    steps = {path.step_size_layer.name for path in network.paths} | {block.name for block in network.blocks}
    config["layers"] = changes_of(network, (layer for layer in network.layers if layer.name not in steps))
    twin = type(network).from_config(config)
    own = {path.step_size_layer.name for path in twin.paths} | {block.name for block in twin.blocks}
    for layer in twin.layers:
        if layer.weights and layer.name not in own:
            layer.set_weights(network.get_layer(layer.name).get_weights())
    ends = None if x is None else (_batched(x), _batched(x))
    for old, new in zip(network.paths, twin.paths, strict=True):
        _average(old, new)
        if ends is not None:
            ends = _fit(old, new, *ends, gamma_0)
    return twin


def overlaps(old: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Which part of each new step lies in each old one; rows sum to one.

    Args:
        old: step sizes that sum to one, shape `(L,)`.
        new: the same for the new net, shape `(L',)`.

    Returns:
        Shape `(L', L)`.

    Example:
    >>> overlaps(np.array([0.5, 0.5]), np.array([0.25, 0.5, 0.25]))
    array([[1. , 0. ],
           [0.5, 0.5],
           [0. , 1. ]])
    """
    before, after = (np.concatenate([[0.0], np.cumsum(steps) / np.sum(steps)]) for steps in (old, new))
    first = np.maximum(after[:-1, None], before[None, :-1])
    last = np.minimum(after[1:, None], before[None, 1:])
    shared = np.maximum(last - first, 0.0)
    return shared / shared.sum(axis=1, keepdims=True)


def _stretched(path: LeakyPath, depth: int) -> Fixed:
    """The path's own step sizes over another number of steps, within its cap."""
    schedule = path.step_size_layer.schedule
    high = schedule.upper_bound(path.effective_depth)
    if depth * high < 1 - 1e-9:
        raise InvalidInputError(
            f"{depth} steps at this effective depth break the cap of {schedule.cap}. "
            f"Use depth >= {math.ceil(1 / high)}. Received: depth={depth}, effective_depth={path.effective_depth}"
        )
    ends = np.concatenate([[0.0], np.cumsum(path.step_sizes)])
    steps = np.diff(np.interp(np.linspace(0, 1, depth + 1), np.linspace(0, 1, len(ends)), ends))
    return Fixed(bounded_simplex(steps, steps.min() / 10, high).tolist(), schedule.cap)


def _average(old: LeakyPath, new: LeakyPath) -> None:
    """Give each new block the mean of `W_p` over its step."""
    weights = [block.weight_matrix for block in old.blocks]
    frozen = not any(block.trainable for block in old.blocks)
    for block, share in zip(new.blocks, overlaps(old.step_sizes, new.step_sizes), strict=True):
        block.trainable = not frozen
        block.assign_weight_matrix(sum(part * weight for part, weight in zip(share, weights, strict=True)))


def _batched(x: np.ndarray) -> list[np.ndarray]:
    return [x[start : start + BATCH] for start in range(0, len(x), BATCH)]


def _fit(
    old: LeakyPath, new: LeakyPath, before_old: list[np.ndarray], before_new: list[np.ndarray], gamma_0: float
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Fit the blocks of the new path, first to last, to the old path, from what comes before each; their `A_L`."""
    before = [_numpy(old.entry(part, training=False)) for part in before_old]
    own = [_numpy(new.entry(part, training=False)) for part in before_new]
    steps, blocks = old.step_sizes, old.blocks
    ends, layer, place = np.cumsum(steps), 0, 0.0
    after = [_step(blocks[0], part, steps[0]) for part in before]
    for block, step in new.steps:
        place += step
        while layer < len(blocks) - 1 and ends[layer] < place - 1e-6:
            layer += 1
            before, after = after, [_step(blocks[layer], part, steps[layer]) for part in after]
        share = 1 - (ends[layer] - place) / steps[layer]
        goals = (first + share * (last - first) for first, last in zip(before, after, strict=True))
        _fit_block(block, own, goals, float(step), old.effective_depth, gamma_0)
        own = [_step(block, part, step) for part in own]
    return after, own


def _fit_block(
    block: LeakyBlock,
    inputs: list[np.ndarray],
    goals: Iterable[np.ndarray],
    step: float,
    effective_depth: float,
    gamma_0: float,
) -> None:
    """The weights nearest to the block's own that take the inputs to the goals, by ridge regression."""
    weights = block.weight_matrix
    gram, missing = np.zeros((weights.shape[1],) * 2), np.zeros_like(weights)
    for part, goal in zip(inputs, goals, strict=True):
        features, columns = block.features(part), block.columns(part)
        wanted = (block.columns(goal) - columns) / step + effective_depth * columns  # W s(A)
        gram += features.T @ features
        missing += (wanted - features @ weights.T).T @ features
    largest = float(np.linalg.norm(gram, 2))
    if largest == 0:  # no sample activates anything: nothing to learn from
        return
    ridge = gamma_0 * largest * np.eye(len(gram))
    block.assign_weight_matrix(weights + cho_solve(cho_factor(gram + ridge), missing.T).T)


def _step(block: LeakyBlock, representation: np.ndarray, step: float) -> np.ndarray:
    return _numpy(block(representation, step_size=step))


def _numpy(tensor: Any) -> np.ndarray:
    return keras.ops.convert_to_numpy(tensor)
