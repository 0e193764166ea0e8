"""The network of a recipe: fields that every family has, and a family's own. Ours are read without Keras."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError, field_validator, model_validator
from pydantic_core import InitErrorDetails

from leaky_zoo.networks.config import Number, Whole
from leaky_zoo.networks.families import BUILT_IN, get_family
from leaky_zoo.networks.tasks import TASKS


class NetworkPart(BaseModel):
    """The network. A family's own fields stand beside these, as `kernel_size` of "conv"; its `config_class` has them.

    Attributes:
        family: "mlp", "conv", "resnet", or a family of your own whose module was imported. Default "mlp".
        task: None takes the data set's own; "autoencoding" reconstructs the inputs. Default None.
        width, depth: as the family's configuration. Default None: its own default (64 and 15; "resnet": 32, doubled
            from stage to stage, and 5 a stage).
        effective_depth, use_bias, head_dropout: as `NetworkConfig`.
        schedule: name, or a mapping with `name` and the schedule's arguments. Default "equidistant".
        dtype: precision while training with the optimiser: "float32", "float64", or "mixed_bfloat16" or
            "mixed_float16", which compute in 16 bits and keep weights, logits, losses and penalties in 32. The L-BFGS
            phase and all energies are in float64 whatever it is. Default "float32".
        from: a preset's name, the path of a preset folder or of a `.keras` file: its preprocessing, stem and paths go
            on with a new head (fine-tuning). What the net is then stands there: only `task`, `head_dropout`, `dtype`
            and `freeze` may stand beside it. Default None: a net from its initialiser. In Python: `source`.
        freeze: with `from`, stem and paths stay as they are and the head alone is trained. Default False.
    """

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False, serialize_by_alias=True)

    family: str = "mlp"
    task: str | None = None
    width: Annotated[Whole, Field(ge=1, le=65_536)] | None = None
    depth: Annotated[Whole, Field(ge=1, le=10_000)] | None = None
    effective_depth: Annotated[Number, Field(ge=0, le=10_000)] = 3.0
    schedule: str | dict[str, Any] = "equidistant"
    use_bias: StrictBool = True
    head_dropout: Annotated[Number, Field(ge=0, lt=1)] = 0.0
    dtype: Literal["float32", "float64", "mixed_bfloat16", "mixed_float16"] = "float32"
    source: Annotated[str, Field(min_length=1, max_length=4096)] | None = Field(None, alias="from")
    freeze: StrictBool = False

    @field_validator("family")
    @classmethod
    def _known(cls, family: str) -> str:
        if family not in BUILT_IN:  # ours are known without Keras
            get_family(family)
        return family

    @field_validator("task")
    @classmethod
    def _any_data_can_have_it(cls, task: str | None) -> str | None:
        free = [each.name for each in TASKS.values() if each.from_inputs]
        if task is not None and task not in free:
            raise ValueError(f"a data set has its own task; any data can have {', '.join(free)}")
        return task

    @model_validator(mode="wrap")
    @classmethod
    def _of_the_family(cls, value: Any, read: Callable[[Any], "NetworkPart"]) -> "NetworkPart":
        """What is wrong with the common fields and with the family's own is said together."""
        wrong: list[InitErrorDetails] = []
        part = None
        try:
            part = read(value)
        except ValidationError as error:
            wrong += _details(error)
        common = {field.alias or name for name, field in cls.model_fields.items()}
        own = {key: each for key, each in value.items() if key not in common} if isinstance(value, dict) else {}
        known = not any(each["loc"][:1] == ("family",) for each in wrong)
        if own and known:
            try:
                get_family(value.get("family", "mlp")).config_class.family_fields().model_validate(own)
            except ValidationError as error:
                wrong += _details(error)
        if part is None or wrong:
            raise ValidationError.from_exception_data(cls.__name__, wrong)
        return part

    @classmethod
    def every_name(cls, value: Any) -> list[str]:
        """Names of the common fields and of the family's own, for plain data of this part."""
        family = value.get("family", "mlp") if isinstance(value, dict) else "mlp"
        common = [field.alias or name for name, field in cls.model_fields.items()]
        return [*common, *get_family(family).config_class.family_fields().model_fields]

    @model_validator(mode="after")
    def _of_its_source(self) -> "NetworkPart":
        if self.source is None:
            if self.freeze:
                raise ValueError("freeze: is for a net that goes on `from` a preset; a new one has nothing to keep")
            return self
        free = {"task", "head_dropout", "dtype", "source", "freeze"}
        fields = {name: field for name, field in type(self).model_fields.items() if name not in free}
        changed = {name for name, field in fields.items() if getattr(self, name) != field.default}
        said = sorted(changed | set(self.family_fields))
        if said:
            raise ValueError(f"from: the net is that of {self.source}; leave out {', '.join(said)}")
        return self

    @property
    def given(self) -> dict[str, Any]:
        """The fields of the network's configuration that the recipe gives; the others are the family's defaults.

        With `from` the others are the preset's.
        """
        if self.source is not None:
            return {"head_dropout": self.head_dropout}
        own = ("width", "depth", "effective_depth", "schedule", "use_bias", "head_dropout")
        chosen = {key: getattr(self, key) for key in own if key in self.model_fields_set}
        return {key: value for key, value in chosen.items() if value is not None} | self.family_fields

    @property
    def family_fields(self) -> dict[str, Any]:
        """The family's own fields that the recipe gives."""
        return dict(self.model_extra or {})


def _details(error: ValidationError) -> list[InitErrorDetails]:
    return [
        InitErrorDetails(type=each["type"], loc=each["loc"], input=each["input"], ctx=each.get("ctx", {}))
        for each in error.errors()
    ]
