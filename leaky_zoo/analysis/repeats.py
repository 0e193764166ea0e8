"""Layers that give what a layer just before them gave, or its ReLU: their moments are not summed again."""

from concurrent.futures import Future
from dataclasses import dataclass, field

from leaky_zoo.analysis.layout import Matrices
from leaky_zoo.flow.sums import LayerAccumulator, LayerSums

NOT_CALLED = "not called while the model ran"
NEIGHBOURS = 2  # calls before a layer's own that it is compared with


class LayerRecord:
    """The sums of one call of a layer, as its outputs come by; or the reason why there are none.

    Attributes:
        reason: why there are none; None where there are.
        features: as `LayerAudit.features`.
        sums: of its outputs.
        pending: the batch that is being added.
        batches: how many were begun.
        leader: whose moments say all of this layer's: those of the same outputs, or of outputs that these are the ReLU
            of. None: they are summed here.
        rectified: whether these outputs are the ReLU of the leader's.
    """

    def __init__(self) -> None:
        self.reason: str | None = NOT_CALLED
        self.features: str | None = None
        self.sums: LayerAccumulator | None = None
        self.pending: Future[None] | None = None
        self.batches = 0
        self.leader: LayerRecord | None = None
        self.rectified = False

    def result(self) -> LayerSums | None:
        """What was summed; None where there is nothing."""
        if self.sums is None:
            return None
        if self.leader is None or self.leader.sums is None:
            return self.sums.result()
        own = self.leader.sums.sums
        return self.sums.result(moments=own.rectified_moments() if self.rectified else own.moments())


@dataclass(frozen=True)
class Step:
    """One batch of one call.

    Attributes:
        layer: whose it is.
        batch: how many of its batches were before.
        matrices: its outputs, as soon as it is known whom they repeat; None where they cannot be used.
    """

    layer: LayerRecord
    batch: int
    matrices: Future[Matrices | None] = field(default_factory=Future)


def follow(step: Step, found: Matrices, before: tuple[Step, ...]) -> bool:
    """Look, in the first batch, whether a layer repeats one just before it; in the others, whether it still does.

    Args:
        step: the layer's own; its `leader` and `rectified` are set in its first batch.
        found: its outputs.
        before: the steps just before it, the nearest first.

    Returns:
        False if a layer no longer repeats its leader: all has to be summed again, each layer by itself.
    """
    layer = step.layer
    if step.batch and layer.leader is None:
        return True
    for other in before:
        matrices, root = other.matrices.result(), other.layer.leader or other.layer
        if matrices is None or other.batch != step.batch or other.layer is layer:
            continue
        if step.batch and root is not layer.leader:
            continue
        word = found.repeats(matrices)
        if word is None:
            continue
        rectified = other.layer.rectified or word == "rectified"
        if step.batch:
            return rectified == layer.rectified
        layer.leader, layer.rectified = root, rectified
        return True
    return not step.batch
