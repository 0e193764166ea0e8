"""Outputs of a model's layers, batch by batch, into sums; from the sums, what is said of each layer."""

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from threading import BoundedSemaphore
from typing import Any

import keras
import numpy as np

from leaky_zoo.analysis.axes import Axes
from leaky_zoo.analysis.layout import as_matrices, one_array
from leaky_zoo.analysis.records import LayerAudit
from leaky_zoo.analysis.statistics import identity_statistics, representation_statistics
from leaky_zoo.flow.sums import LayerAccumulator, Subsample

NOT_CALLED = "not called while the model ran"
MAX_CALLS = 8


class _Layer:
    """The sums of one call of a layer, as its outputs come by; or the reason why there are none."""

    def __init__(self) -> None:
        self.reason: str | None = NOT_CALLED
        self.features: str | None = None
        self.sums: LayerAccumulator | None = None
        self.pending: Future[None] | None = None


class Recorder:
    """Takes the outputs of the watched layers, batch by batch, and keeps nothing but sums.

    A layer that the model calls several times has an entry for each call: `dense`, `dense, call 2`, ...

    Args:
        names: of the layers.
        classes: number of classes; 0 for none.
        subsample: samples whose (pooled) representations are kept.
        products: as `MomentSums`.
        axes: what the axes of each call's output mean, by layer. Default None: units on the last axis.
    """

    def __init__(
        self,
        names: list[str],
        classes: int,
        subsample: Subsample,
        products: str,
        axes: Mapping[str, Sequence[Axes]] | None = None,
    ) -> None:
        self._names = names
        self.layers: dict[str, _Layer] = {}  # in the order of their first call
        self.owners: dict[str, str] = {}  # names of the layers, by entry
        self.subsample, self._classes, self._products = subsample, classes, products
        self._axes = axes or {}
        cores = os.cpu_count() or 1
        # Copies of outputs that wait for their sums are few.
        self._pool, self._room = ThreadPoolExecutor(cores), BoundedSemaphore(2 * cores)
        self._calls: dict[str, int] = {}

    def begin(self, start: int, count: int, labels: np.ndarray | None) -> None:
        """Say which samples the next outputs belong to."""
        self._start, self._count, self._labels, self._calls = start, count, labels, {}

    def add(self, name: str, output: Any, mask: Any = None) -> None:
        """Take one output, and the mask of its positions, if it has one."""
        call = self._calls[name] = self._calls.get(name, 0) + 1
        expected = len(self._axes.get(name, ())) or call
        if call > MAX_CALLS or expected > MAX_CALLS:
            self._entry(name, name).reason = f"called more than {MAX_CALLS} times while the model ran: a step of a loop"
            self._entry(name, name).sums = None
            return
        layer = self._entry(name if call == 1 else f"{name}, call {call}", name)
        if layer.reason not in (None, NOT_CALLED):
            return
        known = self._axes.get(name, ())
        axes = known[call - 1] if call <= len(known) else None
        array, layer.reason = one_array(output, self._count, axes)
        if array is None:
            layer.sums = None
            return
        if layer.pending is not None:
            layer.pending.result()  # batch after batch: the sums are the same whatever the machine does
        places = self.subsample.within(self._start, self._count)
        self._room.acquire()
        image, kept = axes.image if axes else None, _mask_of(mask, array)
        layer.pending = self._pool.submit(self._sum, layer, array, image, kept, self._labels, places)
        layer.pending.add_done_callback(lambda _: self._room.release())

    def _sum(
        self, layer: _Layer, array: np.ndarray, image: Any, mask: Any, labels: Any, places: tuple[slice, np.ndarray]
    ) -> None:
        """Add one batch of one layer, beside the model's next layers."""
        found = as_matrices(array, np.dtype(self._products), image, mask)
        if not np.isfinite(found.columns).all():
            layer.reason, layer.sums = "its outputs hold NaN or infinity", None
            return
        if layer.sums is None:
            sample = np.zeros((len(self.subsample.indices), found.vectors.shape[1]), np.float32)
            layer.features = found.features
            layer.sums = LayerAccumulator(
                found.columns.shape[1], found.activations.shape[1], True, self._classes, sample, products=self._products
            )
        if found.columns.shape[1] != layer.sums.sums.total.size:
            layer.reason, layer.sums = "its width is not the same for every batch of samples", None
            return
        layer.sums.add(found.columns, found.activations, found.vectors, labels, *places)

    def _entry(self, entry: str, name: str) -> _Layer:
        self.owners.setdefault(entry, name)
        return self.layers.setdefault(entry, _Layer())

    def close(self) -> None:
        """Wait for the sums that are under way; no output is taken after it."""
        self._pool.shutdown()

    def audits(self, kinds: dict[str, str], gamma_0: float, track: Any = None) -> list[LayerAudit]:
        """One `LayerAudit` for each layer; the decompositions of several layers run at once."""
        for layer in self.layers.values():
            if layer.pending is not None:
                layer.pending.result()
        never = {name: _Layer() for name in self._names if name not in self.layers}
        every = {**self.layers, **never}
        numbered = list(enumerate(every.items(), start=1))

        def measure(each: tuple[int, tuple[str, _Layer]]) -> LayerAudit:
            number, (name, layer) = each
            return _audit(number, name, kinds[self.owners.get(name, name)], layer, gamma_0)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            measured = pool.map(measure, numbered)
            found = [audit for _, audit in zip(track(numbered) if track else numbered, measured, strict=True)]
        before = None
        for index, layer in enumerate(every.values()):
            if found[index].reason is None and layer.sums is not None:
                if before is not None:
                    found[index] = replace(found[index], cka_with_previous=sample_cka(before, layer.sums.sample))
                before = layer.sums.sample
        return found


def _audit(number: int, name: str, kind: str, layer: _Layer, gamma_0: float) -> LayerAudit:
    sums = layer.sums.result() if layer.sums else None
    if sums is None or not sums.moments.squared > 0:
        return LayerAudit(layer=number, name=name, kind=kind, reason=layer.reason or "its outputs are all zero")
    return LayerAudit(
        layer=number,
        name=name,
        kind=kind,
        width=sums.moments.total.size,
        columns=sums.moments.count,
        features=layer.features,
        **identity_statistics(sums, gamma_0),
        **representation_statistics(sums),
    )


def _mask_of(mask: Any, array: np.ndarray) -> np.ndarray | None:
    """A mask as an array, if it is one of the positions of this sequence."""
    if mask is None or array.ndim != 3:
        return None
    found = np.asarray(keras.ops.convert_to_numpy(mask))
    return found.astype(bool) if found.shape == array.shape[:2] else None


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
