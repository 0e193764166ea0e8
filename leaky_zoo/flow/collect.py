"""One pass over data, a thread for each core: the sums of all batches."""

import math
import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow import nested_sums
from leaky_zoo.flow.stream import NetworkStream, NetworkSums, PathSums
from leaky_zoo.flow.sums import LayerSums, Subsample
from leaky_zoo.networks import LeakyNetwork

BATCH = 1024
FEATURE_BYTES = 128 * 1024**2  # of one layer's features in one batch: the patches of a convolution are large
MAX_THREADS = 8


def batch_of(network: LeakyNetwork) -> int:
    """How many samples are looked at together: at most 1024, and fewer where a sample has many columns.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> batch_of(LeakyMLP((4,), 2, width=8, depth=4, effective_depth=1.0))
    1024
    """
    numbers = [
        math.prod(path.representations[0].shape[1:]) // path.width * path.blocks[0].weight_matrix.shape[1]
        for path in network.paths
    ]
    return max(1, min(BATCH, FEATURE_BYTES // (8 * max(numbers))))


def collect(
    network: LeakyNetwork,
    x: np.ndarray,
    y: np.ndarray | None = None,
    batch_size: int | None = None,
    progress: Any = None,
    *,
    with_momenta: bool | None = None,
    classes: int = 0,
    subsample: Subsample | None = None,
    first: int = 0,
    products: str = "float64",
    threads: int | None = None,
) -> NetworkSums:
    """Stream arrays through a network and add up; memory does not grow with the samples.

    Args:
        network: the network to look at.
        x: raw inputs.
        y: labels or targets; None leaves the momenta out. Default None.
        batch_size: samples at a time, for each thread. Default None: as `batch_of` says.
        progress: wraps the iterable of batches, to draw a bar with. Default None.
        with_momenta: whether to run the backward pass. Default None: where there are targets.
        classes: number of classes, where `y` are labels, for sums by class. Default 0: none.
        subsample: samples of the whole data whose representations are kept. Default None: none.
        first: place of `x[0]` in the whole data, for a shard. Default 0.
        products: "float64", or "float32" for products of a batch in float32. Default "float64".
        threads: each takes every so-many-th batch, with one BLAS thread. Default None: one for each core, at most 8.

    Returns:
        The `NetworkSums`.

    Raises:
        InvalidInputError: no sample, or values that are not finite.
    """
    if not len(x):
        raise InvalidInputError("There is no sample to analyse. Received: x of length 0")
    momenta = y is not None if with_momenta is None else with_momenta
    batch_size = batch_size or batch_of(network)
    stream = NetworkStream(network, momenta, classes, subsample, products)
    starts = range(0, len(x), batch_size)
    count = min(threads or os.cpu_count() or 1, MAX_THREADS, len(starts))
    todo: Iterable[int] = progress(starts) if progress else starts

    def batches(part: Iterable[int]) -> Iterator[tuple[int, np.ndarray, np.ndarray | None]]:
        for start in part:
            stop = start + batch_size
            yield first + start, x[start:stop], None if y is None else y[start:stop]

    # One BLAS thread for each of ours: products this small lose more to the waiting for each other than they gain.
    with threadpool_limits(1):
        if count == 1:
            parts = [stream.run(batches(todo))]
        else:
            shares = [list(starts)[thread::count] for thread in range(count)]
            ticks, lock = iter(todo), threading.Lock()
            with ThreadPoolExecutor(count) as pool:
                tasks = [pool.submit(stream.run, batches(_ticking(share, ticks, lock))) for share in shares]
                parts = [task.result() for task in tasks]
            next(ticks, None)  # a progress bar ends with its iterator
    total = parts[0]
    for part in parts[1:]:
        total = _merge(total, part)  # type: ignore[arg-type]
    assert total is not None
    return total


def _merge(first: NetworkSums, second: NetworkSums) -> NetworkSums:
    """Sums of two threads, which share the arrays of the subsample."""

    def bare(sums: NetworkSums) -> NetworkSums:
        paths = [PathSums(tuple(map(_without_sample, path.layers)), path.gradients) for path in sums.paths]
        return replace(sums, paths=tuple(paths), sample_labels=np.zeros(0))

    total = nested_sums.add(bare(first), bare(second))
    paths = [
        replace(
            path,
            layers=tuple(replace(a, sample=b.sample) for a, b in zip(path.layers, shared.layers, strict=True)),
        )
        for path, shared in zip(total.paths, first.paths, strict=True)
    ]
    return replace(total, paths=tuple(paths), sample_labels=first.sample_labels)


def _without_sample(layer: LayerSums) -> LayerSums:
    return replace(layer, sample=np.zeros(0))


def _ticking(share: list[int], ticks: Iterator[int], lock: threading.Lock) -> Iterator[int]:
    for start in share:
        with lock:
            next(ticks, None)
        yield start
