"""A network's path over data, outside Keras: its description, streams into additive sums, samples kept."""

from leaky_zoo.flow.collect import collect
from leaky_zoo.flow.description import weights_sha256
from leaky_zoo.flow.stream import PathStream, PathSums

__all__ = ["PathStream", "PathSums", "collect", "weights_sha256"]
