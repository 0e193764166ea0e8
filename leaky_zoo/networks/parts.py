"""Layers that every family puts around its paths: normalisation before the stem, dropout in the head."""

from typing import Any

import keras
import numpy as np

from leaky_zoo.layers import HeadDropout


def normalization(mean: Any, variance: Any, dtype: str, name: str, invert: bool = False) -> keras.layers.Layer:
    """`(x - mean) / sqrt(variance)`, or its inverse; a number, or one for each feature of the last axis."""
    axis = None if np.ndim(mean) == 0 and np.ndim(variance) == 0 else -1
    mean, variance = (each.tolist() for each in np.broadcast_arrays(mean, variance))
    return keras.layers.Normalization(axis=axis, mean=mean, variance=variance, invert=invert, dtype=dtype, name=name)


def head_dropout(features: Any, rate: float, dtype: Any) -> Any:
    """The features before the head's last layer, with dropout where the rate is not zero."""
    return HeadDropout(rate, dtype=dtype, name="head_dropout")(features) if rate else features
