"""Outputs of a model's layers, batch by batch, into sums; from the sums, what is said of each layer."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np

from leaky_zoo.analysis.layout import as_matrices, one_array
from leaky_zoo.analysis.records import LayerAudit
from leaky_zoo.analysis.statistics import identity_statistics, representation_statistics
from leaky_zoo.flow.sums import LayerAccumulator, Subsample

NOT_CALLED = "not called while the model ran"


class _Layer:
    """The sums of one layer, as its outputs come by; or the reason why there are none."""

    def __init__(self) -> None:
        self.reason: str | None = NOT_CALLED
        self.features: str | None = None
        self.sums: LayerAccumulator | None = None


class Recorder:
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
        array, layer.reason = one_array(output, self._count)
        if array is not None and name in self._seen:
            layer.reason = "called more than once in the model: which call is meant is not known"
        self._seen.add(name)
        if layer.reason is None and array is not None:
            found = as_matrices(array, np.dtype(self._products))
            if not np.isfinite(found.columns).all():
                layer.reason = "its outputs hold NaN or infinity"
        if layer.reason is not None:
            layer.sums = None
            return
        if layer.sums is None:
            sample = np.zeros((len(self.subsample.indices), found.vectors.shape[1]), np.float32)
            layer.features = found.features
            layer.sums = LayerAccumulator(
                found.columns.shape[1], found.activations.shape[1], True, self._classes, sample, products=self._products
            )
        kept = self.subsample.within(self._start, self._count)
        layer.sums.add(found.columns, found.activations, found.vectors, self._labels, *kept)

    def audits(self, kinds: dict[str, str], gamma_0: float, track: Any = None) -> list[LayerAudit]:
        """One `LayerAudit` for each layer; the decompositions of several layers run at once."""
        never = {name: _Layer() for name in self._names if name not in self.layers}
        every = {**self.layers, **never}
        numbered = list(enumerate(every.items(), start=1))

        def measure(each: tuple[int, tuple[str, _Layer]]) -> LayerAudit:
            number, (name, layer) = each
            return _audit(number, name, kinds[name], layer, gamma_0)

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
