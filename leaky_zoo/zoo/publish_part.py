"""The part of a recipe that says how its net is published."""

from pydantic import BaseModel, ConfigDict, Field


class PublishPart(BaseModel):
    """What a card says that no measurement gives, and what is written beside the preset.

    Attributes:
        about: what the net is for, a sentence or two. Default None: its task and data alone.
        choice: how recipe and schedule were chosen. Default None: nothing is said.
        limits: what it should not be used for. Default None: only what its audit warns of.
        licence: of the weights, by its SPDX name. Default "Apache-2.0".
        seeds: over how many seeds the test metrics are stated, at least 1: the nets of the seeds after the preset's own
            are trained and measured, and not kept. Default 1: the preset's alone.
        audit_split: the split that the audit is on, as `train[:2000]` where a pass over all images would take hours.
            It gives no rank unless it is all that the net was trained on. Default None: what it was trained on.
        onnx: whether `export/<name>/model.onnx` is written too. Default True.

    Example:
    >>> PublishPart(about="Reads digits.").licence
    'Apache-2.0'
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    about: str | None = Field(None, min_length=1, max_length=2000)
    choice: str | None = Field(None, min_length=1, max_length=2000)
    limits: str | None = Field(None, min_length=1, max_length=2000)
    licence: str = Field("Apache-2.0", pattern=r"^[A-Za-z0-9][A-Za-z0-9.+\-]*$", max_length=100)
    seeds: int = Field(1, ge=1, le=100)
    audit_split: str | None = Field(None, min_length=1, max_length=200)
    onnx: bool = True
