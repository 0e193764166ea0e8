"""Data sets: TFDS builders, a registry, users' files, `tf.data` pipelines."""

from leaky_zoo.errors import naming_extras

with naming_extras():
    from leaky_zoo.data.dataset import Dataset, content_sha256
    from leaky_zoo.data.registry import DATASETS, DatasetRecord, cache_dir, load_data

__all__ = ["DATASETS", "Dataset", "DatasetRecord", "cache_dir", "content_sha256", "load_data"]
