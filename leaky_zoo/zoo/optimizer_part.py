"""The optimiser of a recipe: its method, its learning rate over time, and the mean of the weights."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

WARMUP = {"cosine": 0.02, "one_cycle": 0.3}
MOMENTUM = 0.9
DECOUPLED_DECAY = 0.01


class OptimizerPart(BaseModel):
    """The optimiser: a rising learning rate, a falling one, and clipping of the global norm.

    Attributes:
        name: "adam", "adamw" (Adam with a decay beside the gradient), or "sgd" (with Nesterov's momentum). Default
            "adam".
        learning_rate: peak, positive; for the batch of `data.batch_size`, however many replicas share it.
            Default 1e-3.
        schedule: "cosine": up in a line from zero, down to zero along a cosine; "one_cycle": up along a cosine from
            a 25th of the peak, down along a cosine to a ten thousandth of where it began (Smith and Topin 2018, as
            PyTorch has it). Default "cosine".
        momentum: of "sgd", in [0, 1). Default None: 0.9.
        decoupled_decay: of "adamw": each step shrinks the weights, without biases and step sizes, by this times the
            learning rate, at least 0. Unlike `mu` it is not part of the objective, so a net trained with it is not
            at a critical point of the objective. Default None: 0.01.
        average: how much of the running mean of the weights is kept in each step, in (0, 1), as 0.999; less over the
            first steps, `(1 + t) / (10 + t)`. The means are what is evaluated, watched and saved. Default None: none.
        steps: optimiser steps, rounded up to whole logged epochs; exclusive with `epochs`.
        epochs: passes over the training split; exclusive with `steps`.
        warmup: fraction of the steps with rising rate, in [0, 1). Default None: 0.02, with "one_cycle" 0.3.
        global_clipnorm: bound on the gradient's global norm; None: no bound. Default 1.0.
        micro_batches: gradient accumulation: each step's batch is computed in so many parts, one after the other, to
            save memory; the step stays the same. Default 1.
        loss_scale: factor on the loss against underflow of float16: "dynamic" (halved when a gradient overflows, that
            step being skipped; doubled after 2000 good steps), a fixed factor of at least 1, or "auto": dynamic with
            "mixed_float16", else none. Default "auto".
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: Literal["adam", "adamw", "sgd"] = "adam"
    learning_rate: float = Field(1e-3, gt=0)
    schedule: Literal["cosine", "one_cycle"] = "cosine"
    momentum: float | None = Field(None, ge=0, lt=1)
    decoupled_decay: float | None = Field(None, ge=0)
    average: float | None = Field(None, gt=0, lt=1)
    steps: int | None = Field(None, ge=1, le=10**9)
    epochs: int | None = Field(None, ge=1, le=10**9)
    warmup: float | None = Field(None, ge=0, lt=1)
    global_clipnorm: float | None = Field(1.0, gt=0)
    micro_batches: int = Field(1, ge=1)
    loss_scale: Annotated[float, Field(ge=1)] | Literal["auto", "dynamic"] = "auto"

    @model_validator(mode="after")
    def _one_length(self) -> "OptimizerPart":
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give `steps` or `epochs`, one of them")
        return self

    @model_validator(mode="after")
    def _own_fields(self) -> "OptimizerPart":
        for field, owner in (("momentum", "sgd"), ("decoupled_decay", "adamw")):
            if getattr(self, field) is not None and self.name != owner:
                raise ValueError(f"{field}: is for {owner}. Received: {getattr(self, field)} for {self.name}")
        return self

    @property
    def rising(self) -> float:
        """Fraction of the steps with rising rate."""
        return WARMUP[self.schedule] if self.warmup is None else self.warmup

    def total_steps(self, per_pass: int) -> int:
        """Optimiser steps in all, for data of so many batches."""
        return self.steps if self.steps is not None else (self.epochs or 0) * per_pass
