"""Data sets of TFDS with their true features and made-up samples."""

import tensorflow_datasets as tfds


def write_mock(name, config, folder, count=10, names=None):
    """A data set of TFDS with its true features and mock samples, as TFDS writes it; `names` of its classes."""
    with tfds.testing.mock_data(num_examples=count):
        builder = tfds.builder(f"{name}/{config}" if config else name)
        features = builder.info.features
        if names:
            features["label"].names = names
        splits = {
            split: [(row, each) for row, each in enumerate(tfds.as_numpy(builder.as_dataset(split=split).take(count)))]
            for split in ("train", "validation" if name == "imagenette" else "test")
        }
    tfds.dataset_builders.store_as_tfds_dataset(
        name, "1.0.0", features, splits, config=config or None, data_dir=folder, disable_shuffling=True
    )
