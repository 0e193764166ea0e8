"""Outputs of a model's layers, batch by batch, into sums; from the sums, what is said of each layer."""

import os
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import BoundedSemaphore
from typing import Any

import keras
import numpy as np

from leaky_zoo.analysis.axes import Axes
from leaky_zoo.analysis.layout import Matrices, as_matrices, one_array
from leaky_zoo.analysis.records import LayerAudit
from leaky_zoo.analysis.repeats import NEIGHBOURS, NOT_CALLED, LayerRecord, Step, follow
from leaky_zoo.analysis.statistics import identities_statistics, sample_statistics, spectrum_statistics
from leaky_zoo.flow.sums import LayerAccumulator, Subsample

MAX_CALLS = 8


class Recorder:
    """Takes the outputs of the watched layers, batch by batch, and keeps nothing but sums.

    A layer that the model calls several times has an entry for each call: `dense`, `dense, call 2`, ...

    Args:
        names: of the layers.
        classes: number of classes; 0 for none.
        subsample: samples whose (pooled) representations are kept.
        products: as `MomentSums`.
        axes: what the axes of each call's output mean, by layer. Default None: units on the last axis.
        sharing: whether a layer that repeats one just before it (or is its ReLU), batch by batch, takes its moments
            from there. Default True.

    Attributes:
        repeats_ended: whether a layer repeated another for some batches and then did not: its numbers are not right,
            all has to be recorded again without `sharing`.
    """

    def __init__(
        self,
        names: list[str],
        classes: int,
        subsample: Subsample,
        products: str,
        axes: Mapping[str, Sequence[Axes]] | None = None,
        sharing: bool = True,
    ) -> None:
        self._names = names
        self.layers: dict[str, LayerRecord] = {}  # in the order of their first call
        self.owners: dict[str, str] = {}  # names of the layers, by entry
        self.subsample, self._classes, self._products = subsample, classes, products
        self._axes = axes or {}
        cores = os.cpu_count() or 1
        # Copies of outputs that wait for their sums are few.
        self._pool, self._room = ThreadPoolExecutor(cores), BoundedSemaphore(2 * cores)
        self._calls: dict[str, int] = {}
        self._before: deque[Step] = deque(maxlen=NEIGHBOURS if sharing else 0)
        self.repeats_ended = False

    def again_without_sharing(self) -> "Recorder":
        """A new one for the same layers, in which each has sums of its own."""
        return Recorder(self._names, self._classes, self.subsample, self._products, self._axes, sharing=False)

    def begin(self, start: int, count: int, labels: np.ndarray | None) -> None:
        """Say which samples the next outputs belong to."""
        self._start, self._count, self._labels, self._calls = start, count, labels, {}
        self._before.clear()

    def add(self, name: str, output: Any, mask: Any = None) -> None:
        """Take one output, and the mask of its positions, if it has one."""
        call = self._calls[name] = self._calls.get(name, 0) + 1
        expected = len(self._axes.get(name, ())) or call
        if call > MAX_CALLS or expected > MAX_CALLS:
            self._entry(name, name).reason = f"called more than {MAX_CALLS} times while the model ran: a step of a loop"
            self._entry(name, name).sums = None
            return
        layer = self._entry(name if call == 1 else f"{name}, call {call}", name)
        if layer.pending is not None:
            layer.pending.result()  # batch after batch: the sums are the same whatever the machine does
        if layer.reason not in (None, NOT_CALLED):
            return
        known = self._axes.get(name, ())
        axes = known[call - 1] if call <= len(known) else None
        array, layer.reason = one_array(output, self._count, axes)
        if array is None:
            layer.sums = None
            return
        places = self.subsample.within(self._start, self._count)
        self._room.acquire()
        image, kept = axes.image if axes else None, _mask_of(mask, array)
        step, before = Step(layer, layer.batches), tuple(self._before)
        layer.batches += 1
        layer.pending = self._pool.submit(self._sum, step, before, (array, image, kept), self._labels, places)
        layer.pending.add_done_callback(lambda _: self._room.release())
        self._before.appendleft(step)

    def _sum(
        self,
        step: Step,
        before: tuple[Step, ...],
        output: tuple[np.ndarray, Any, Any],
        labels: Any,
        places: tuple[slice, np.ndarray],
    ) -> None:
        """Add one batch of one layer, beside the model's next layers."""
        found, layer = None, step.layer
        try:
            found = self._usable(layer, *output)
            if found is not None and not follow(step, found, before):
                self.repeats_ended = True
        finally:
            step.matrices.set_result(found)  # others wait for it
        if found is None:
            layer.sums = None
            return
        if layer.sums is None:
            sample = np.zeros((len(self.subsample.indices), found.vectors.shape[1]), np.float32)
            layer.features = found.features
            layer.sums = LayerAccumulator(
                found.columns.shape[1], found.activations.shape[1], True, self._classes, sample, products=self._products
            )
        if layer.leader is not None:
            layer.sums.add_vectors(found.vectors, labels, *places)
        else:
            layer.sums.add(found.columns, found.activations, found.vectors, labels, *places, found.repeated)

    def _usable(self, layer: LayerRecord, array: np.ndarray, image: Any, mask: Any) -> Matrices | None:
        """An output as matrices; None, and the layer's reason, where it cannot be summed."""
        found = as_matrices(array, np.dtype(self._products), image, mask)
        if not np.isfinite(found.columns).all():
            layer.reason = "its outputs hold NaN or infinity"
        elif layer.sums is not None and found.columns.shape[1] != layer.sums.sums.total.size:
            layer.reason = "its width is not the same for every batch of samples"
        else:
            return found
        return None

    def _entry(self, entry: str, name: str) -> LayerRecord:
        self.owners.setdefault(entry, name)
        return self.layers.setdefault(entry, LayerRecord())

    def close(self) -> None:
        """Wait for the sums that are under way; no output is taken after it."""
        self._pool.shutdown()
        for layer in self.layers.values():
            leader = layer.leader
            if leader is not None and (leader.sums is None or leader.batches != layer.batches):
                self.repeats_ended = True

    def audits(self, kinds: dict[str, str], gamma_0: float, track: Any = None) -> list[LayerAudit]:
        """One `LayerAudit` for each layer; the decompositions of several layers run at once."""
        for layer in self.layers.values():
            if layer.pending is not None:
                layer.pending.result()
        never = {name: LayerRecord() for name in self._names if name not in self.layers}
        every = {**self.layers, **never}
        groups: dict[int, list[LayerRecord]] = {}
        for layer in every.values():
            groups.setdefault(id(layer.leader or layer), []).append(layer)
        statistics: dict[int, dict[str, Any]] = {}
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            measured = pool.map(lambda group: _group_statistics(group, gamma_0), groups.values())
            for found in track(list(groups.values())) if track else groups.values():
                statistics |= zip(map(id, found), next(measured), strict=True)
        audits: list[LayerAudit] = []
        before = None
        for number, (name, layer) in enumerate(every.items(), start=1):
            about = statistics[id(layer)]
            if "reason" not in about and layer.sums is not None:
                if before is not None:
                    about["cka_with_previous"] = sample_cka(before, layer.sums.sample)
                before = layer.sums.sample
            audits.append(LayerAudit(layer=number, name=name, kind=kinds[self.owners.get(name, name)], **about))
        return audits


def _group_statistics(group: list[LayerRecord], gamma_0: float) -> list[dict[str, Any]]:
    """Of layers whose moments are those of one of them: the fields of `LayerAudit`, from one decomposition."""
    sums = [layer.result() for layer in group]
    used = [index for index, each in enumerate(sums) if each is not None and each.moments.squared > 0]
    # Each kind once: the leader's own, and their ReLU.
    first = {group[index].rectified: index for index in reversed(used)}
    shared = {}
    if used:
        moments = [found.moments for index in first.values() if (found := sums[index]) is not None]
        identities = identities_statistics(moments, gamma_0)
        for kind, own, identity in zip(first, moments, identities, strict=True):
            shared[kind] = identity | spectrum_statistics(own)
    result = []
    for layer, each in zip(group, sums, strict=True):
        if each is None or not each.moments.squared > 0:
            result.append({"reason": layer.reason or "its outputs are all zero"})
            continue
        shape = {"width": each.moments.total.size, "columns": each.moments.count, "features": layer.features}
        result.append(shape | shared[layer.rectified] | sample_statistics(each))
    return result


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
