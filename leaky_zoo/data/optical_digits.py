"""The optical digits that scikit-learn carries, as a TFDS builder with five stratified folds."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
from sklearn.datasets import load_digits
from sklearn.model_selection import StratifiedKFold

from leaky_zoo.data.checks import check_generated

_CITATION = """@misc{alpaydin1998optical, author={Alpaydin, E. and Kaynak, C.},
title={Optical Recognition of Handwritten Digits}, howpublished={UCI Machine Learning Repository}, year={1998}}"""


class OpticalDigitsConfig(tfds.core.BuilderConfig):
    """One of five disjoint test folds of 20%."""

    def __init__(self, fold: int) -> None:
        super().__init__(name=f"fold_{fold}", description=f"Stratified fold {fold} of 5 is the test split.")
        self.fold = fold


class OpticalDigits(tfds.core.GeneratorBasedBuilder):
    """1,797 images of handwritten digits, 8 x 8, 17 grey levels, from scikit-learn's wheel: no download."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [OpticalDigitsConfig(fold) for fold in range(5)]  # noqa: RUF012 (TFDS wants a list)

    def _info(self) -> tfds.core.DatasetInfo:
        return self.dataset_info_from_configs(
            description=self.__doc__,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Tensor(shape=(8, 8, 1), dtype=np.uint8),
                    "label": tfds.features.ClassLabel(names=[str(digit) for digit in range(10)]),
                }
            ),
            supervised_keys=("image", "label"),
            citation=_CITATION,
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        train, test = fold_arrays(self.builder_config.fold)
        return {"train": _examples(*train), "test": _examples(*test)}

    def _generate_examples(self, images: np.ndarray, labels: np.ndarray) -> Iterator[tuple[int, dict[str, Any]]]:
        return _examples(images, labels)


def fold_arrays(fold: int) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """`((x_train, y_train), (x_test, y_test))` of a fold in 0..4, checked against the recorded hashes."""
    images, labels, train, test = fold_rows(fold)
    integers = {"images": images, "labels": labels, "test_rows": test}
    check_generated(f"optical_digits/fold_{fold}", integers=integers)
    return (images[train], labels[train]), (images[test], labels[test])


def fold_rows(fold: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """All images, all labels, and the rows of a fold's training and test split."""
    digits = load_digits()
    images, labels = digits.images.astype(np.uint8)[..., None], digits.target.astype(np.int64)
    folds = StratifiedKFold(5, shuffle=True, random_state=0).split(images, labels)
    # scikit-learn's rows are sorted by writer; mixed, so that a slice of a split is a fair sample of it.
    train, test = (np.random.default_rng(fold).permutation(rows).astype(np.int64) for rows in list(folds)[fold])
    return images, labels, train, test


def _examples(images: np.ndarray, labels: np.ndarray) -> Iterator[tuple[int, dict[str, Any]]]:
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        yield row, {"image": image, "label": int(label)}
