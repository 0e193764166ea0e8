"""Keras models made at random, for `random_models`: five forms, five kinds of data, both layouts, dtype policies."""

import contextlib
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

layers = keras.layers
FORMS = ("functional", "sequential", "subclassed", "nested", "several")
KINDS = ("vector", "sequence", "image", "volume", "tokens")
POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")
SAMPLES = 40
VOCABULARY = 11


@dataclass(frozen=True)
class Made:
    """A model and samples for it.

    Attributes:
        form, kind, layout, policy: what it is.
        model: the model, built.
        x: samples, in the structure that it takes.
    """

    form: str
    kind: str
    layout: str
    policy: str
    model: keras.Model
    x: Any


@keras.saving.register_keras_serializable(package="random_models")
class Chain(keras.Model):
    """A subclassed model: its parts one after the other, with a sum of its own where the shapes allow one."""

    def __init__(self, parts: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parts = [keras.saving.deserialize_keras_object(part) if isinstance(part, dict) else part for part in parts]

    def call(self, x: Any, training: bool = False) -> Any:
        for part in self.parts:
            before = x
            x = part(x)
            if tuple(x.shape) == tuple(before.shape):
                x = x + keras.ops.cast(0.5 * before, x.dtype)
        return x

    def build(self, shape: Any) -> None:
        for part in self.parts:
            if not part.built:
                part.build(shape)
            shape = part.compute_output_shape(shape)

    def compute_output_shape(self, shape: Any) -> Any:
        for part in self.parts:
            shape = part.compute_output_shape(shape)
        return shape

    def get_config(self) -> dict[str, Any]:
        parts = [keras.saving.serialize_keras_object(part) for part in self.parts]
        return {"parts": parts, "name": self.name}


def make(seed: int, layout: str | None = None, policy: str | None = None) -> Made:
    """The model of a seed.

    Args:
        seed: at least 0.
        layout: in place of its own. Default None.
        policy: in place of its own. Default None.
    """
    random = np.random.default_rng(seed)
    form, kind = FORMS[seed % len(FORMS)], KINDS[seed // len(FORMS) % len(KINDS)]
    own_layout = ("channels_last", "channels_first")[int(random.integers(2))]
    own_policy = POLICIES[int(random.integers(len(POLICIES)))]
    if kind not in ("image", "volume"):
        layout = own_layout = "channels_last"
    layout, policy = layout or own_layout, policy or own_policy
    keras.utils.set_random_seed(seed)
    parts = _Parts(random, kind, layout, policy)
    model = {
        "functional": _functional,
        "sequential": _sequential,
        "subclassed": _subclassed,
        "nested": _nested,
        "several": _several,
    }[form](parts)
    x = _samples(np.random.default_rng(seed), kind, layout)
    if form == "several":
        x = {"first": x, "second": np.random.default_rng(seed + 1).normal(size=(SAMPLES, 5)).astype("float32")}
    if form == "subclassed":
        model.build((None, *parts.shape))  # not by a call: TensorFlow lacks some operators of low precision on a CPU
    return Made(form, kind, layout, policy, model, x)


def channels_moved(x: Any, kind: str, to: str) -> Any:
    """Samples in the other layout."""
    if isinstance(x, dict):
        return {**x, "first": channels_moved(x["first"], kind, to)}
    if kind not in ("image", "volume"):
        return x
    return np.moveaxis(x, -1, 1) if to == "channels_first" else np.moveaxis(x, 1, -1)


class _Parts:
    """Layers drawn at random for one kind of data."""

    def __init__(self, random: np.random.Generator, kind: str, layout: str, policy: str) -> None:
        self.random, self.kind, self.layout, self.policy = random, kind, layout, policy
        self.how = {"dtype": policy}
        self.format = {"data_format": layout, **self.how}
        self.axis = 1 if layout == "channels_first" else -1
        self.shape = SHAPES[kind] if layout == "channels_last" else (SHAPES[kind][-1], *SHAPES[kind][:-1])

    def input(self, **how: Any) -> Any:
        return keras.Input(self.shape, **how)

    def body(self) -> list[keras.layers.Layer]:
        """Some layers that can follow each other."""
        start = (
            [layers.Embedding(VOCABULARY, 6, mask_zero=bool(self.random.integers(2)))] if self.kind == "tokens" else []
        )
        choices = self._choices()
        drawn = self.random.integers(len(choices), size=3 + int(self.random.integers(3)))
        return [*start, *self._fitting([choices[place]() for place in drawn])]

    def _fitting(self, drawn: list[keras.layers.Layer]) -> list[keras.layers.Layer]:
        """Without windows that are larger than what the layers before them leave."""
        if self.kind not in ("image", "volume"):
            return drawn
        kept, shape = [], (None, *self.shape)
        for layer in drawn:
            with contextlib.suppress(ValueError):
                shape = layer.compute_output_shape(shape)
                kept.append(layer)
        return kept

    def head(self) -> list[keras.layers.Layer]:
        """To outputs, in float32 as Keras's guide has it."""
        pool = {
            "vector": lambda: layers.Activation("tanh", **self.how),
            "sequence": lambda: layers.GlobalAveragePooling1D(**self.how),
            "tokens": lambda: layers.GlobalMaxPooling1D(**self.how),
            "image": lambda: layers.GlobalAveragePooling2D(**self.format),
            "volume": lambda: layers.GlobalMaxPooling3D(**self.format),
        }[self.kind]
        return [pool(), layers.Dense(3, dtype="float32")]

    def _choices(self) -> list[Any]:
        how, form = self.how, self.format
        act = str(self.random.choice(["relu", "tanh", "gelu", "silu", "elu", "softplus", "leaky_relu", "selu"]))
        common = [
            lambda: layers.Activation(act, **how),
            lambda: layers.Dropout(0.2, **how),
            lambda: layers.BatchNormalization(axis=self.axis, **how),
            lambda: layers.LayerNormalization(axis=self.axis, **how),
            lambda: layers.LeakyReLU(**how),
        ]
        return common + {
            "vector": [
                lambda: layers.Dense(int(self.random.integers(4, 12)), activation=act, **how),
                lambda: layers.PReLU(**how),
                lambda: layers.UnitNormalization(**how),
                lambda: layers.GaussianNoise(0.1, **how),
                lambda: layers.RMSNormalization(**how),
            ],
            "image": [
                lambda: layers.Conv2D(6, 3, padding="same", activation=act, **form),
                lambda: layers.Conv2D(4, 2, strides=1, **form),
                lambda: layers.DepthwiseConv2D(3, padding="same", **form),
                lambda: layers.SeparableConv2D(5, 3, padding="same", **form),
                lambda: layers.Conv2DTranspose(4, 3, padding="same", **form),
                lambda: layers.MaxPooling2D(2, padding="same", **form),
                lambda: layers.AveragePooling2D(2, strides=1, **form),
                lambda: layers.UpSampling2D(2, **form),
                lambda: layers.ZeroPadding2D(1, **form),
                lambda: layers.SpatialDropout2D(0.2, **form),
            ],
            "volume": [
                lambda: layers.Conv3D(4, 2, padding="same", activation=act, **form),
                lambda: layers.MaxPooling3D(2, padding="same", **form),
                lambda: layers.AveragePooling3D(2, strides=1, **form),
                lambda: layers.UpSampling3D(2, **form),
            ],
        }.get(self.kind, [
            lambda: layers.Conv1D(6, 3, padding="same", activation=act, **how),
            lambda: layers.SeparableConv1D(5, 3, padding="same", **how),
            lambda: layers.LSTM(5, return_sequences=True, **how),
            lambda: layers.GRU(4, return_sequences=True, **how),
            lambda: layers.Bidirectional(layers.SimpleRNN(3, return_sequences=True, **how), **how),
            lambda: layers.TimeDistributed(layers.Dense(6, **how), **how),
            lambda: layers.EinsumDense("abc,cd->abd", output_shape=(None, 6), **how),
            lambda: layers.Dense(5, activation=act, **how),
        ])  # fmt: skip


SHAPES = {"vector": (9,), "sequence": (8, 5), "image": (9, 8, 3), "volume": (5, 4, 4, 2), "tokens": (8,)}


def _samples(random: np.random.Generator, kind: str, layout: str) -> np.ndarray:
    if kind == "tokens":
        x = random.integers(1, VOCABULARY, (SAMPLES, *SHAPES[kind]))
        x[:, -2:] *= random.integers(0, 2, (SAMPLES, 1))  # some are shorter
        return x.astype("float32")
    x = random.normal(size=(SAMPLES, *SHAPES[kind])).astype("float32")
    return channels_moved(x, kind, layout) if layout == "channels_first" else x


def _after(tensor: Any, parts: Any) -> Any:
    for part in parts:
        tensor = part(tensor)
    return tensor


def _functional(parts: _Parts) -> keras.Model:
    inputs = parts.input()
    current = _after(inputs, parts.body())
    if parts.kind in ("sequence", "tokens") and parts.random.integers(2):
        current = layers.MultiHeadAttention(2, 4, **parts.how)(current, current)
    beside = layers.Activation("relu", **parts.how)(current)
    joined = layers.Add(**parts.how)([current, beside]) if parts.random.integers(2) else current + beside
    return keras.Model(inputs, _after(joined, parts.head()))


def _sequential(parts: _Parts) -> keras.Model:
    return keras.Sequential([parts.input(), *parts.body(), *parts.head()])


def _subclassed(parts: _Parts) -> keras.Model:
    return Chain([*parts.body(), *parts.head()])


def _nested(parts: _Parts) -> keras.Model:
    body = parts.body()
    inner = keras.Sequential([parts.input(), *body])
    inputs = parts.input()
    end = keras.Sequential([keras.Input(inner.output_shape[1:], dtype=inner.compute_dtype), *parts.head()])
    return keras.Model(inputs, end(inner(inputs)))


def _several(parts: _Parts) -> keras.Model:
    first, second = parts.input(name="first"), keras.Input((5,), name="second")
    body = _after(first, parts.body())
    one = _after(body, parts.head())
    shared = layers.Dense(3, dtype="float32", name="shared")
    two = shared(layers.Concatenate(dtype="float32")([one, shared(second)][::-1])[:, :5])
    return keras.Model({"first": first, "second": second}, {"one": one, "two": two})
