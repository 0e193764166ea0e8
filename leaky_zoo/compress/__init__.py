"""From an audit to a smaller net: which ReLUs do nothing, what folds, how many directions do; distillation; bits."""

from leaky_zoo.errors import naming_extras

with naming_extras():
    from leaky_zoo.compress.data import CompressionData, split_for
    from leaky_zoo.compress.plan import CompressionPlan, plan_compression
    from leaky_zoo.compress.smaller import Compressed, compress

__all__ = [
    "Compressed",
    "CompressionData",
    "CompressionPlan",
    "compress",
    "plan_compression",
    "split_for",
]
