"""One pass over data, a thread for each core: the sums of all batches."""

import os
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow import additive
from leaky_zoo.flow.stream import PathStream, PathSums
from leaky_zoo.flow.sums import LayerSums, Subsample
from leaky_zoo.networks import LeakyNetwork

BATCH = 1024
MAX_THREADS = 8


def collect(
    network: LeakyNetwork,
    x: np.ndarray,
    y: np.ndarray | None = None,
    batch_size: int = BATCH,
    progress: Any = None,
    *,
    with_momenta: bool | None = None,
    classes: int = 0,
    subsample: Subsample | None = None,
    first: int = 0,
    products: str = "float64",
    threads: int | None = None,
) -> PathSums:
    """Stream arrays through a network and add up; memory does not grow with the samples.

    Args:
        network: the network to look at.
        x: raw inputs.
        y: labels or targets; None leaves the momenta out. Default None.
        batch_size: samples at a time, for each thread. Default 1024.
        progress: wraps the iterable of batches, to draw a bar with. Default None.
        with_momenta: whether to run the backward pass. Default None: where there are targets.
        classes: number of classes, where `y` are labels, for sums by class. Default 0: none.
        subsample: samples of the whole data whose representations are kept. Default None: none.
        first: place of `x[0]` in the whole data, for a shard. Default 0.
        products: "float64", or "float32" for products of a batch in float32. Default "float64".
        threads: each takes every so-many-th batch, with one BLAS thread. Default None: one for each core, at most 8.

    Returns:
        The `PathSums`.

    Raises:
        InvalidInputError: no sample, or values that are not finite.
    """
    if not len(x):
        raise InvalidInputError("There is no sample to analyse. Received: x of length 0")
    momenta = y is not None if with_momenta is None else with_momenta
    stream = PathStream(network, momenta, classes, subsample, products)
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
            shares = [list(starts)[row::count] for row in range(count)]
            ticks, lock = iter(todo), threading.Lock()
            with ThreadPoolExecutor(count) as pool:
                tasks = [pool.submit(stream.run, batches(_ticking(share, ticks, lock))) for share in shares]
                parts = [task.result() for task in tasks]
            next(ticks, None)  # a progress bar ends with its iterator
    total = parts[0]
    for part in parts[1:]:
        total = merge(total, part)  # type: ignore[arg-type]
    assert total is not None
    return total


def merge(first: PathSums, second: PathSums) -> PathSums:
    """Sums over both sets of samples, where both share the arrays of the subsample (threads) or not (shards)."""
    if first.sample_labels is second.sample_labels:
        layers = tuple(
            LayerSums(additive.add(a.moments, b.moments), additive.add(a.classes, b.classes), a.sample)
            for a, b in zip(first.layers, second.layers, strict=True)
        )
        gradients, loss = additive.add((first.gradients, first.loss), (second.gradients, second.loss))
        return PathSums(first.samples + second.samples, layers, gradients, loss, first.sample_labels)
    return additive.add(first, second)


def _ticking(share: list[int], ticks: Iterator[int], lock: threading.Lock) -> Iterator[int]:
    for start in share:
        with lock:
            next(ticks, None)
        yield start
