"""A recipe: everything that one training run needs, validated, as YAML on disk."""

import os
import shlex
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.files import write_text
from leaky_zoo.io.reading import read_fields, read_yaml
from leaky_zoo.networks.tasks import TASKS
from leaky_zoo.zoo.data_part import DataPart
from leaky_zoo.zoo.network_part import NetworkPart
from leaky_zoo.zoo.optimizer_part import OptimizerPart
from leaky_zoo.zoo.publish_part import PublishPart

# What `converge` takes where a recipe does not say: a residual at which energies are conserved to a few percent.
CRITICALITY = 0.05
AVERAGE = 10
MOST_ITERATIONS = 20_000


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ObjectivePart(_Part):
    """The penalty, and what labels are taken for.

    Attributes:
        label_smoothing: of a classifier: how much of each target is spread evenly over all classes while the optimiser
            trains, in [0, 1) (Szegedy et al. 2016). Metrics, audits and L-BFGS take the labels as they are. Default 0.
        weight_decay: `mu >= 0`, on `sum_l rho_l ||W_l||^2 / 2`. Default 1e-3.
        io_weight_decay: `mu_io >= 0` on stem and head; None: equal to `mu`. Default None.
        ramp: fraction of training over which `mu` rises geometrically, in [0, 1]. Default 0.3.
        ramp_from: where it starts, as a fraction of `mu`, in (0, 1]. Default 0.01.
        peak: where the ramp ends, as a multiple of `mu`, at least 1: a strong `mu` drops directions that do not come
            back when it falls. Default 1.
        release_at: fraction of training at which it falls from the peak to `mu`, in [ramp, 1]. Default 0.7.
    """

    label_smoothing: float = Field(0.0, ge=0, lt=1)
    weight_decay: float = Field(1e-3, ge=0)
    io_weight_decay: float | None = Field(None, ge=0)
    ramp: float = Field(0.3, ge=0, le=1)
    ramp_from: float = Field(0.01, gt=0, le=1)
    peak: float = Field(1.0, ge=1)
    release_at: float = Field(0.7, ge=0, le=1)

    @model_validator(mode="after")
    def _ramp_before_release(self) -> "ObjectivePart":
        if self.peak > 1 and self.release_at < self.ramp:
            raise ValueError(f"release_at must be at least ramp ({self.ramp:g}). Received: {self.release_at:g}")
        return self


class LBFGSPart(_Part):
    """Full-batch L-BFGS in float64 after the optimiser, to reach a critical point. Small data only.

    Attributes:
        iterations: at most so many, at least 1. Default 1000.
        history: pairs kept, 1..200. Default 30.
        preconditioner: "kronecker" works in coordinates scaled by the Kronecker-factored curvature, renewed every
            `round` iterations; "none" is plain L-BFGS. Default "kronecker".
        round: iterations between two renewals, and between two looks at `criticality`, at least 1. Default 200.
        criticality: stop once `||W_l - P_l s^T|| / ||W_l||` is at most this on every layer, for dense blocks with the
            best slopes of ReLUs that sit on a kink (`geometry.kinks`: the Clarke residual); None: use all iterations.
            Default None.
        average: with `criticality`, look at the mean of so many successive iterates as well, each time that so many
            have passed; a round ends at it where its worst residual is the lower. In 1..200, at most `round`; 1: at
            none. Default None: 10 (at most `round`) with the recipe's `converge`, else 1.
    """

    iterations: int = Field(1000, ge=1)
    history: int = Field(30, ge=1, le=200)
    preconditioner: Literal["kronecker", "none"] = "kronecker"
    round: int = Field(200, ge=1)
    criticality: float | None = Field(None, gt=0)
    average: int | None = Field(None, ge=1, le=200)

    @model_validator(mode="after")
    def _means_within_a_round(self) -> "LBFGSPart":
        if self.average is not None and self.average > self.round:
            raise ValueError(f"average must be at most round ({self.round}). Received: {self.average}")
        return self


class Recipe(_Part):
    """One training run, complete: the same recipe and machine give the same weights.

    Attributes:
        name: preset name, `leaky_<family>_<dataset>_l<L~>_<schedule>`.
        data, network, objective, optimizer: see the parts.
        lbfgs: the L-BFGS phase after it, or None. Default None.
        converge: end the L-BFGS phase by its criticality residual, on every layer at most `lbfgs.criticality` (0.05
            where the recipe does not say), and not by a number of iterations: without `lbfgs` there may be 20,000.
            `result.json` says whether it got there, and the command line says so when it did not. Default False.
        early_stopping: epochs without a better validation loss after which training ends; None: never. Default None.
        log_every: optimiser steps per logged epoch; None: one pass over the data. Default None.
        seed: of weights and data order. Default 0.
        strategy: "auto", "cpu", "mirrored" or "multi_worker", as `make_strategy`. Default "auto".
        devices: replicas: GPUs used, or logical CPU devices; None: all GPUs, one CPU. Default None.
        checkpoint_every: optimiser steps between two checkpoints; None: every 30 seconds. Default None.
        keep_checkpoints: how many of them are kept, at least 1. Default 2.
        publish: what `leaky-zoo publish` says of the net and writes beside it; nothing of it changes the training.

    Example:
    >>> recipe = Recipe(name="trial", data={"name": "optical_digits"}, optimizer={"epochs": 3})
    >>> recipe.network.family, recipe.optimizer.learning_rate
    ('mlp', 0.001)
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_.\-]*$")
    data: DataPart
    network: NetworkPart = NetworkPart()
    objective: ObjectivePart = ObjectivePart()
    optimizer: OptimizerPart
    lbfgs: LBFGSPart | None = None
    converge: bool = False
    early_stopping: int | None = Field(None, ge=1)
    log_every: int | None = Field(None, ge=1)
    seed: int = Field(0, ge=0, lt=2**31)
    strategy: Literal["auto", "cpu", "mirrored", "multi_worker"] = "auto"
    devices: int | None = Field(None, ge=1)
    checkpoint_every: int | None = Field(None, ge=1)
    keep_checkpoints: int = Field(2, ge=1)
    publish: PublishPart = PublishPart()

    @field_validator("early_stopping")
    @classmethod
    def _watches_something(cls, value: int | None, info: Any) -> int | None:
        if value is not None and "data" in info.data and info.data["data"].validation is None:
            raise ValueError("needs `data.validation`, a split to watch")
        return value

    @property
    def loss_scale(self) -> float | str | None:
        """`"dynamic"`, a factor, or None where the loss is not scaled."""
        if self.optimizer.loss_scale == "auto":
            return "dynamic" if self.network.dtype == "mixed_float16" else None
        return self.optimizer.loss_scale

    @property
    def training(self) -> "Recipe":
        """The recipe without `publish`: what the weights depend on."""
        return self.model_copy(update={"publish": PublishPart()})

    @property
    def lbfgs_phase(self) -> LBFGSPart | None:
        """The L-BFGS phase with what `converge` asks of it; None where there is none."""
        if not self.converge:
            return self.lbfgs
        part = self.lbfgs or LBFGSPart(iterations=MOST_ITERATIONS)
        return part.model_copy(
            update={
                "criticality": part.criticality or CRITICALITY,
                "average": part.average or min(AVERAGE, part.round),
            }
        )

    @model_validator(mode="after")
    def _critical_point_needs_a_penalty(self) -> "Recipe":
        if self.lbfgs_phase is not None and self.objective.weight_decay == 0:
            name = "lbfgs" if self.lbfgs else "converge"
            raise ValueError(f"{name}: needs objective.weight_decay > 0; without it there are no momenta to judge by")
        return self

    @model_validator(mode="after")
    def _means_are_for_critical_points(self) -> "Recipe":
        phase = self.lbfgs_phase
        if phase is not None and phase.criticality is None and phase.average not in (None, 1):
            raise ValueError(
                f"lbfgs.average: needs lbfgs.criticality or converge: true, or means are not looked at. "
                f"Received: {phase.average}"
            )
        return self

    @model_validator(mode="after")
    def _critical_points_move_all(self) -> "Recipe":
        if self.network.freeze and self.lbfgs_phase is not None:
            raise ValueError("network.freeze: a critical point is one of all weights; leave out `lbfgs`/`converge`")
        return self

    @model_validator(mode="after")
    def _reconstructions_stay_in_place(self) -> "Recipe":
        if self.data.moves and self.network.task is not None and TASKS[self.network.task].from_inputs:
            raise ValueError(f"data.{self.data.moves[0]}: an autoencoder's targets would not move with its inputs")
        return self

    @model_validator(mode="after")
    def _streams_are_never_whole(self) -> "Recipe":
        if self.data.stream and self.lbfgs_phase is not None:
            raise ValueError(
                "data.stream: L-BFGS computes on all samples at once; leave out `stream`, or `lbfgs`/`converge`"
            )
        return self

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Recipe":
        """Read a recipe from YAML; data that are in its folder are found there.

        Raises:
            InvalidInputError: no such file, not YAML, or a field that is wrong; the message names file and field.
        """
        from leaky_zoo.data.places import beside

        recipe = cls.from_dict(read_yaml(path, "recipe"), source=str(path))
        name = beside(recipe.data.name, Path(path).parent)
        if name == recipe.data.name:
            return recipe
        return recipe.model_copy(update={"data": recipe.data.model_copy(update={"name": name})})

    @classmethod
    def from_dict(cls, value: Any, source: str = "recipe") -> "Recipe":
        """A recipe from plain data, with errors that name `source` and the field."""
        if isinstance(value, dict) and "recipe" in value and {"grid", "cases"} & value.keys():
            raise InvalidInputError(f"{source} is a sweep over a recipe: leaky-zoo sweep {shlex.quote(source)}")
        return read_fields(cls, value, source, "recipe")

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write the recipe as YAML, atomically; fields at their default are left out."""
        write_text(path, self.to_yaml())

    def to_yaml(self) -> str:
        """The recipe as YAML text."""
        return yaml.safe_dump(self.model_dump(mode="json", exclude_defaults=True), sort_keys=False)
