"""What the axes of a layer's output mean: read off the layers that a model calls, in one run on a few samples.

An axis is the sample's, a position's (of a sequence, an image, a video, a volume), or holds units (channels; heads and
their sizes together). A layer with `data_format`, a normalisation, a dense or recurrent layer or attention says which
axes hold the units of what it takes and gives. What changes nothing about the axes (an activation, a sum) has those of
what stands before it, or else of what follows. Where nobody says, there is a reason and no number.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras

ATTENTION = ("MultiHeadAttention", "GroupQueryAttention", "GroupedQueryAttention", "Attention", "AdditiveAttention")
RECURRENT = ("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "Embedding", "Dense")
UNKNOWN = "no layer says which of its {count} axes holds the units (channels)"
WEIGHTS_OF_ATTENTION = "attention weights, over heads, queries and keys: no axis holds units"


@dataclass(frozen=True)
class Axes:
    """The axes of one output.

    Attributes:
        units: places of the axes that hold units, ascending; the others, but the first, are positions.
        image: whether the positions are those of an image, so that patches make sense.
        reason: why there are none; None where there are.
    """

    units: tuple[int, ...] = ()
    image: bool = False
    reason: str | None = None


class _Group:
    """Tensors whose axes mean the same."""

    def __init__(self) -> None:
        self.given: Axes | None = None  # by who made one of them
        self.taken: list[Axes] = []  # by who takes one


class AxesFinder:
    """Sees the calls of a model's operations on a few samples, then says what the axes of each output mean.

    Keep it alive as long as the run lasts: it holds the tensors, so that none gets the identity of another.
    """

    def __init__(self) -> None:
        self._groups: dict[int, _Group] = {}
        self._held: list[Any] = []
        self._calls: list[tuple[str, list[Any], Any]] = []
        self._latest: dict[tuple[int, ...], _Group] = {}
        self._inside_attention: set[int] = set()

    def see_children(self, layer: Any) -> None:
        """Note the parts of attention whose outputs are its weights."""
        if type(layer).__name__ in ATTENTION:
            parts = (getattr(layer, name, None) for name in ("_softmax", "_dropout_layer"))
            self._inside_attention |= {id(part) for part in parts if part is not None}

    def see(self, name: str, operation: Any, inputs: Sequence[Any], output: Any) -> None:
        """Note one call; `name` is empty for operations without a row."""
        taken = [each for each in inputs if _rank(each) > 2]
        self._held += [*taken, output]
        groups = [self._group(tensor) for tensor in taken]
        for tensor, group in zip(taken, groups, strict=True):
            said = _said_of_input(operation, tensor)
            if said is not None:
                group.taken.append(said)
        for each in keras.tree.flatten(output):
            if _rank(each) > 2 and id(each) not in self._groups:
                self._groups[id(each)] = self._made(operation, taken, groups, each)
            if _rank(each) > 2:
                self._latest[tuple(each.shape)] = self._groups[id(each)]
        self._calls.append((name, taken, output))

    def _group(self, tensor: Any) -> _Group:
        """Of a tensor that nobody made is taken to be like the last of the same shape: a sum of two such, say."""
        if id(tensor) not in self._groups:
            known = self._latest.get(tuple(tensor.shape))
            self._groups[id(tensor)] = known if known is not None else _Group()
        return self._groups[id(tensor)]

    def _made(self, operation: Any, taken: list[Any], groups: list[_Group], output: Any) -> _Group:
        group = _Group()
        if id(operation) in self._inside_attention:
            group.given = Axes(reason=WEIGHTS_OF_ATTENTION)
            return group
        said = _said_of_output(operation, output)
        normalises = type(operation).__name__.endswith("Normalization")  # over what stands before it
        if said is not None and not (normalises and any(each.given is not None for each in groups)):
            group.given = said
            return group
        same = [each for each, tensor in zip(groups, taken, strict=True) if _rank(tensor) == _rank(output)]
        if isinstance(operation, keras.layers.Permute | keras.layers.Reshape):
            given = groups[0].given if groups else None
            group.given = _rearranged(operation, given, taken[0], output) if given is not None else None
            return group
        told = [each for each in same if each.given is not None]
        # What keeps the number of axes keeps their meaning.
        return (told or same or [group])[0]

    def found(self) -> dict[str, list[Axes]]:
        """The axes of each call's output, by the name of the layer, in the order of the calls."""
        result: dict[str, list[Axes]] = {}
        for name, taken, output in self._calls:
            axes = self._of(output)
            if axes.units and not axes.image and _rank(output) == 4 and axes.reason is None:
                like = [each for each in taken if _positions(each, self._of(each)) == _positions(output, axes)]
                if any(self._of(each).image for each in like):
                    axes = Axes(axes.units, True)  # a dense layer on an image
                    self._groups[id(output)].given = axes
            if name:
                result.setdefault(name, []).append(axes)
        return result

    def _of(self, output: Any) -> Axes:
        rank = _rank(output)
        if rank <= 2:
            return Axes((1,) if rank == 2 else ())
        group = self._groups.get(id(output))
        claims = [] if group is None else [group.given] if group.given is not None else group.taken
        if claims and claims[0] is not None and all(claim == claims[0] for claim in claims):
            return claims[0]
        if len({claim.units for claim in claims if claim is not None}) == 1:
            image = any(claim.image for claim in claims if claim is not None)
            return Axes(claims[0].units, image)  # type: ignore[union-attr]
        return Axes((2,)) if rank == 3 and not claims else Axes(reason=UNKNOWN.format(count=rank))


def _rank(tensor: Any) -> int:
    shape = getattr(tensor, "shape", None)
    return -1 if shape is None else len(shape)


def _positions(tensor: Any, axes: Axes) -> tuple[int, ...]:
    return tuple(side for place, side in enumerate(tensor.shape) if place and place not in axes.units)


def _format(operation: Any) -> str | None:
    found = getattr(operation, "data_format", None)
    found = found if found is not None else getattr(getattr(operation, "cell", None), "data_format", None)
    return found if found in ("channels_first", "channels_last") else None


def _said_of_output(operation: Any, output: Any) -> Axes | None:
    """What a layer's own settings say of its output, of at least three axes."""
    kind, rank = type(operation).__name__, _rank(output)
    if kind == "TimeDistributed":
        inner = operation.layer
        form = _format(inner)
        if form is not None and rank >= 4:
            return Axes((2 if form == "channels_first" else rank - 1,))
        return Axes((rank - 1,)) if kind_of(inner) in RECURRENT else None
    if kind == "EinsumDense":
        taken, _, given = operation.equation.replace("...", "").partition("->")
        units = [place for place, label in enumerate(given) if label not in taken.partition(",")[0]]
        start = rank - len(given)
        return Axes(tuple(start + place for place in units)) if units and min(units) + start > 0 else None
    if _format(operation) is None and (kind in ATTENTION or kind_of(operation) in RECURRENT):
        return Axes((rank - 1,))
    return _said_by_settings(operation, rank)


def _said_of_input(operation: Any, tensor: Any) -> Axes | None:
    """What a layer's own settings say of what it takes."""
    kind, rank = type(operation).__name__, _rank(tensor)
    if kind == "TimeDistributed":
        form = _format(operation.layer)
        return Axes((2 if form == "channels_first" else rank - 1,)) if form is not None and rank >= 4 else None
    last = kind in ATTENTION or (kind_of(operation) in RECURRENT and kind_of(operation) != "Embedding")
    if last and _format(operation) is None:
        return Axes((rank - 1,))
    return _said_by_settings(operation, rank)


def kind_of(operation: Any) -> str:
    """The class of Keras that an operation is, or is made from, of those that have units on the last axis."""
    names = [cls.__name__ for cls in type(operation).__mro__ if cls.__module__.startswith("keras.")]
    return next((name for name in names if name in RECURRENT), type(operation).__name__)


def _said_by_settings(operation: Any, rank: int) -> Axes | None:
    form, axis = _format(operation), getattr(operation, "axis", None)
    kind = type(operation).__name__
    if form is not None and kind != "Flatten":
        time = 1 if kind.startswith("ConvLSTM") and rank == _spatial(operation) + 3 else 0
        place = 1 + time if form == "channels_first" else rank - 1
        return Axes((place,), image=rank == 4 and not time)
    if kind.endswith("Normalization") and axis is not None and kind != "Normalization":
        places = sorted((each + rank) % rank for each in (axis if isinstance(axis, list | tuple) else [axis]))
        if len(places) == 1 and places[0] > 0:
            return Axes((places[0],))
    return None


def _spatial(operation: Any) -> int:
    return int(getattr(operation, "rank", 2))


def _rearranged(operation: Any, given: Axes, taken: Any, output: Any) -> Axes | None:
    """Axes after a layer that moves or joins them, where that can be said."""
    if given.reason is not None or not given.units:
        return None
    if isinstance(operation, keras.layers.Permute):
        places = [0, *operation.dims]
        return Axes(tuple(sorted(places.index(unit) for unit in given.units)), given.image)
    joined = given.units == (_rank(taken) - 1,) and taken.shape[-1] == output.shape[-1]
    return Axes((_rank(output) - 1,)) if joined else None
