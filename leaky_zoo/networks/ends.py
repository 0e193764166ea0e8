"""What goes into a network and what comes out, in the words and keys that its ONNX file has."""

from typing import TYPE_CHECKING, Any

from leaky_zoo.networks.tasks import get_task

if TYPE_CHECKING:
    from leaky_zoo.networks.config import NetworkConfig

BATCH = "batch"
KINDS = {
    1: "raw rows of a table, one number for each feature",
    2: "raw signals (length, channels)",
    3: "raw images (height, width, channels)",
}


def describe_input(config: "NetworkConfig", dtype: str = "float32") -> dict[str, Any]:
    """What a network takes.

    Args:
        config: the network's.
        dtype: of its input. Default "float32".

    Returns:
        `name`, `shape` (with the batch), `dtype`, `words`; where they are known `range`, as `input_range`, and
        `feature_names`.

    Example:
    >>> from leaky_zoo.networks import NetworkConfig
    >>> fields = {"input_shape": (8, 8, 1), "output_size": 10, "input_range": [0, 16]}
    >>> describe_input(NetworkConfig.read(fields))["words"]
    'raw images (height, width, channels), values from 0 to 16 in training; preprocessing is part of the net'
    """
    words, span = KINDS.get(len(config.input_shape), "raw samples"), config.input_range
    described: dict[str, Any] = {"name": "inputs", "shape": [BATCH, *config.input_shape], "dtype": dtype}
    if span is not None:
        each = isinstance(span[0], list)
        words += ", a range for each" if each else f", values from {span[0]:g} to {span[1]:g} in training"
    described["words"] = f"{words}; preprocessing is part of the net"
    return described | known_of_input(config)


def known_of_input(config: "NetworkConfig") -> dict[str, Any]:
    """`range` and `feature_names` of a network's input, where they are known."""
    known = {"range": config.input_range, "feature_names": config.feature_names}
    return {key: value for key, value in known.items() if value is not None}


def describe_output(config: "NetworkConfig", dtype: str = "float32") -> dict[str, Any]:
    """What a network gives.

    Args:
        config: the network's.
        dtype: of its output. Default "float32".

    Returns:
        `name`, `shape` (with the batch), `dtype`, `words`; of a classifier with names `class_names`.

    Example:
    >>> from leaky_zoo.networks import NetworkConfig
    >>> describe_output(NetworkConfig.read({"input_shape": (4,), "output_size": 3}))["words"]
    'logits, one for each class; softmax gives probabilities'
    """
    task = get_task(config.task)
    shape = config.input_shape if config.output_size is None else (config.output_size,)
    more = "; softmax gives probabilities" if task.labels else ""
    described = {"name": task.output_name, "shape": [BATCH, *shape], "dtype": dtype, "words": task.output_words + more}
    return described | ({"class_names": list(config.class_names)} if config.class_names else {})
