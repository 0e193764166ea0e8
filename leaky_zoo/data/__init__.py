"""Data sets: by name, from files and folders, or from Python; `tf.data` pipelines and streams from the disk."""

from leaky_zoo.errors import naming_extras

with naming_extras():
    from leaky_zoo.data.cache import cache_dir
    from leaky_zoo.data.dataset import Dataset, content_sha256
    from leaky_zoo.data.load import load_data
    from leaky_zoo.data.registry import DATASETS, DatasetRecord

__all__ = ["DATASETS", "Dataset", "DatasetRecord", "cache_dir", "content_sha256", "load_data"]
