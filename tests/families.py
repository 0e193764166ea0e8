"""The tests' harness of families: one entry here, and a family goes through the tests of networks, ONNX and audits."""

from dataclasses import dataclass, field

import keras
import numpy as np

from leaky_zoo.networks import TASKS
from leaky_zoo.networks.families import get_family


@dataclass(frozen=True)
class Example:
    """A small network of a family.

    Attributes:
        family: its name.
        input_shape: of a sample.
        fields: the family's own fields.
        autoencoder_shape: of a sample where the inputs are the targets; None: the same.
    """

    family: str
    input_shape: tuple
    fields: dict = field(default_factory=dict)
    autoencoder_shape: tuple | None = None

    @property
    def cls(self):
        """Its class."""
        return get_family(self.family)

    def make(self, task="classification", **changes):
        """A network, from a fixed seed."""
        keras.utils.set_random_seed(1)
        task = TASKS[task]
        shape = (self.autoencoder_shape if task.from_inputs else None) or self.input_shape
        arguments = {"task": task.name, "width": 5, "depth": 5, "effective_depth": 2.0, **self.fields}
        if task.standardizes:
            arguments |= {"output_mean": [5.0, -1.0, 0.5], "output_variance": [4.0, 0.25, 9.0]}
        arguments |= changes
        return self.cls(arguments.pop("input_shape", shape), None if task.from_inputs else 3, **arguments)


EXAMPLES = {
    "mlp": Example("mlp", (6, 4, 2)),
    "channels_last": Example("conv", (9, 6, 2), {"data_format": "channels_last"}, (8, 6, 2)),
    "channels_first": Example("conv", (2, 9, 6), {"data_format": "channels_first"}, (2, 8, 6)),
    "signals": Example("conv", (9, 2), {"data_format": "channels_last"}, (8, 2)),
    "resnet": Example("resnet", (9, 6, 2), {"data_format": "channels_last", "widths": (5, 4)}, (8, 6, 2)),
}
# One for each family, in the layout that a CPU can train.
KINDS = [kind for kind in EXAMPLES if kind != "channels_first"]


def samples(network, count=8):
    """Raw inputs and targets for a network."""
    random = np.random.default_rng(0)
    x = random.normal(size=(count, *network.input_shape[1:])).astype("float32")
    labels = random.integers(0, network.output_shape[-1], count)
    y = labels if network.task.labels else random.normal(size=(count, network.output_shape[-1]))
    return x, network.task.targets(x, y)
