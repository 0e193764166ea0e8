"""How an analysis is done: one object, wherever its arguments travel together."""

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from leaky_zoo.arguments import number, switch, whole
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.flow.sums import SUBSAMPLE
from leaky_zoo.geometry.sums import PRODUCTS

LEAST_FLOAT32 = 1e-6  # gamma_0 of float32 products: theirs are right to 1e-7 of the largest eigenvalue
ABOUT_DATA = ("name", "split", "sha256", "is_training_split", "recognised_by")  # what audits say of their samples


@dataclass(frozen=True)
class AnalysisSettings:
    """The settings of an analysis, checked when made.

    Attributes:
        gamma_0: relative regulariser, in [1e-12, 1]. Default 1e-5.
        batch_size: samples at a time. Default None: for our networks 1024, or fewer where a layer's features
            would take more than 128 MiB; 32 for other models.
        subsample: samples kept for intrinsic dimensions and the projection, at least 2. Default 1000.
        with_momenta: False leaves the momenta out, for a third to a half of the time. Default True.
        products: "float64", or "float32": products of a batch in float32, their sums in float64; faster, and singular
            values below about 3e-4 of the largest are then rounding. Default "float64".
        clarke: whether to choose the slopes of ReLUs on a kink so that the criticality residuals are least
            (`geometry.kinks`), with a control; momenta and energies then have the chosen slopes. For a net of one path
            of dense blocks whose representations fit in memory. Default False.
        relu_samples: evenly spaced samples on which ReLUs are left out, one by one and in runs, for `relu_effect`,
            `linear_stretch` and `effective_nonlinear_depth`; up to `4 L` more passes over them. Default 0:
            not measured.

    Raises:
        InvalidInputError: a setting is out of its range.

    Example:
    >>> AnalysisSettings(gamma_0=1e-4).subsample
    1000
    """

    gamma_0: float = 1e-5
    batch_size: int | None = None
    subsample: int = SUBSAMPLE
    with_momenta: bool = True
    products: str = "float64"
    clarke: bool = False
    relu_samples: int = 0

    def refuse_clarke(self, where: str) -> None:
        """Refuse `clarke` where it cannot be found.

        Raises:
            InvalidInputError: it is asked for.
        """
        if self.clarke:
            raise InvalidInputError(f"`clarke` is not available for {where}. Received: clarke=True")

    def __post_init__(self) -> None:
        number("gamma_0", self.gamma_0)
        for name in ("batch_size", "subsample", "relu_samples"):
            if getattr(self, name) is not None:
                whole(name, getattr(self, name))
        for name in ("with_momenta", "clarke"):
            switch(name, getattr(self, name))
        if not 1e-12 <= self.gamma_0 <= 1:
            raise InvalidInputError(f"`gamma_0` must be in [1e-12, 1]. Received: gamma_0={self.gamma_0}")
        if self.batch_size is not None and self.batch_size < 1:
            raise InvalidInputError(f"`batch_size` must be at least 1. Received: batch_size={self.batch_size}")
        if self.subsample < 2:
            raise InvalidInputError(f"`subsample` must be at least 2 samples. Received: subsample={self.subsample}")
        if self.relu_samples < 0:
            raise InvalidInputError(f"`relu_samples` must be at least 0. Received: relu_samples={self.relu_samples}")
        if self.products not in PRODUCTS:
            raise InvalidInputError(f"`products` must be 'float64' or 'float32'. Received: products={self.products!r}")
        if self.products == "float32" and self.gamma_0 < LEAST_FLOAT32:
            raise InvalidInputError(
                f"`gamma_0` must be at least {LEAST_FLOAT32:g} with float32 products, whose rounding exceeds what "
                f"less would keep apart. Received: gamma_0={self.gamma_0}"
            )


class SettingsByName(TypedDict, total=False):
    """The fields of `AnalysisSettings`, for a function that takes them as keywords."""

    gamma_0: float
    batch_size: int | None
    subsample: int
    with_momenta: bool
    products: str
    clarke: bool
    relu_samples: int


def checked_data(data: Any) -> dict[str, Any] | None:
    """What an audit is to say of its samples, if it is said by name.

    Example:
    >>> checked_data({"name": "digits", "splt": "train"})
    Traceback (most recent call last):
        ...
    leaky_zoo.errors.InvalidInputError: `data` has no 'splt'; did you mean 'split'?

    Raises:
        InvalidInputError: not a dict, or a key that is nearly `name`, `split` or `sha256`.
    """
    if data is None:
        return None
    if not isinstance(data, Mapping):
        raise InvalidInputError(
            f'`data` must be a dict, as {{"name": "digits", "split": "train"}}. Received: data={data!r}'
        )
    for key in data:
        near = difflib.get_close_matches(str(key), ABOUT_DATA, n=1)
        if near and key not in ABOUT_DATA:
            raise InvalidInputError(f"`data` has no {key!r}; did you mean {near[0]!r}?")
    return dict(data)
