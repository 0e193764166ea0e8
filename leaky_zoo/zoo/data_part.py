"""The data of a recipe: where they come from, how targets are read, and what each training step does to the inputs."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

MOVES = ("translation", "crop_padding", "flip", "rotation", "zoom", "mixup")


class DataPart(BaseModel):
    """What the net is trained on.

    Attributes:
        name: registry name with its config (`optical_digits/fold_0`), `tfds:NAME`, the path of an `.npz`,
            `FILE.csv:TARGET`, a folder of images: as `load_data` takes it.
        task: "classification" or "regression", where the targets could be labels or numbers. Default None: what is
            evident, else an error that asks.
        stream: keep the inputs on the disk and read them as they are needed: for data larger than memory. They are
            converted once into the cache; weights are the same as in memory. Default False.
        train: training split. Default "train".
        validation: split watched during training, or None. Default None.
        test: split of the published metrics. Default "test".
        batch_size: samples of one optimiser step, over all replicas and micro-batches together, or "full". The last
            batch of a pass is shorter where it does not divide the samples. Default 256, or all samples where they are
            fewer.
        input_dropout: fraction of the inputs dropped at each training step, in [0, 1). Default 0.
        noise: standard deviation of Gaussian noise on the inputs at each training step, in their units, at least 0;
            an autoencoder with noise, dropout or cutout is a denoiser. Default 0.
        translation: images move by up to so many pixels along each axis at each training step, at least 0; zeros come
            in. Default 0.
        crop_padding: images are padded by so many mirrored pixels and cropped at random to their size, at least 0.
            Default 0.
        flip: fraction of the images mirrored left to right, in [0, 1]; `true` is 0.5. Default 0.
        rotation: images turn by up to so many degrees either way, in [0, 180]. Default 0.
        zoom: images grow or shrink by up to this fraction, in [0, 1). Default 0.
        cutout: side of a square that is cut out of each image, in pixels, at least 0. Default 0.
        mixup: each sample is mixed with another in shares drawn from Beta(mixup, mixup), at least 0. Default 0.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    name: str
    task: Literal["classification", "regression"] | None = None
    stream: bool = False
    train: str = "train"
    validation: str | None = None
    test: str = "test"
    batch_size: Annotated[int, Field(ge=1)] | Literal["full"] = 256
    input_dropout: float = Field(0.0, ge=0, lt=1)
    noise: float = Field(0.0, ge=0)
    translation: int = Field(0, ge=0)
    crop_padding: int = Field(0, ge=0)
    flip: float = Field(0.0, ge=0, le=1)
    rotation: float = Field(0.0, ge=0, le=180)
    zoom: float = Field(0.0, ge=0, lt=1)
    cutout: int = Field(0, ge=0)
    mixup: float = Field(0.0, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _true_is_half(cls, value: Any) -> Any:
        if isinstance(value, dict) and isinstance(value.get("flip"), bool):
            return {**value, "flip": 0.5 if value["flip"] else 0.0}
        return value

    @model_validator(mode="after")
    def _streams_in_batches(self) -> "DataPart":
        if self.stream and self.batch_size == "full":
            raise ValueError('stream: needs a batch_size that is not "full"')
        return self

    @property
    def moves(self) -> tuple[str, ...]:
        """The changes asked for that an autoencoder's targets would have to go through too."""
        return tuple(name for name in MOVES if getattr(self, name))
