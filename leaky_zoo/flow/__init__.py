"""A network's paths over data, outside Keras: their description, streams into additive sums, samples kept."""

from leaky_zoo.errors import naming_extras

with naming_extras():
    from leaky_zoo.flow.collect import collect
    from leaky_zoo.flow.description import weights_sha256
    from leaky_zoo.flow.evaluation import evaluate_network
    from leaky_zoo.flow.stream import NetworkStream, NetworkSums, PathSums

__all__ = ["NetworkStream", "NetworkSums", "PathSums", "collect", "evaluate_network", "weights_sha256"]
