"""From an audit to a smaller net: which ReLUs do nothing, what folds, which ranks do; distillation; fewer bits."""

from leaky_zoo.errors import naming_extras

with naming_extras():
    from leaky_zoo.compress.compress import Compressed, compress
    from leaky_zoo.compress.data import CompressionData, split_for
    from leaky_zoo.compress.distill import Augmented
    from leaky_zoo.compress.plan import CompressionPlan, plan_compression

__all__ = [
    "Augmented",
    "Compressed",
    "CompressionData",
    "CompressionPlan",
    "compress",
    "plan_compression",
    "split_for",
]
