"""The tables that scikit-learn carries, as TFDS builders with five folds: breast cancer, wine, diabetes."""

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np
import tensorflow_datasets as tfds
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.model_selection import KFold, StratifiedKFold

from leaky_zoo.data.checks import check_generated

FOLDS = 5


class FoldConfig(tfds.core.BuilderConfig):
    """One of five disjoint test folds of 20%."""

    def __init__(self, fold: int) -> None:
        super().__init__(name=f"fold_{fold}", description=f"Fold {fold} of 5 is the test split.")
        self.fold = fold


class _Table(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """A table in scikit-learn's wheel."""

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = [FoldConfig(fold) for fold in range(FOLDS)]  # noqa: RUF012 (TFDS wants a list)
    BUNCH: ClassVar[Callable[[], Any]]
    CLASSIFIES: ClassVar[bool] = True

    def _info(self) -> tfds.core.DatasetInfo:
        bunch = type(self).BUNCH()
        target: Any = tfds.features.Tensor(shape=(1,), dtype=np.float32)
        if self.CLASSIFIES:
            target = tfds.features.ClassLabel(names=[str(name) for name in bunch.target_names])
        key = "label" if self.CLASSIFIES else "y"
        return self.dataset_info_from_configs(
            description=self.__doc__,
            features=tfds.features.FeaturesDict(
                {"x": tfds.features.Tensor(shape=(bunch.data.shape[1],), dtype=np.float32), key: target}
            ),
            supervised_keys=("x", key),
            metadata=tfds.core.MetadataDict(feature_names=[str(name) for name in bunch.feature_names]),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        x, y, train, test = table_fold(self.name, self.builder_config.fold)
        check_generated(
            f"{self.name}/{self.builder_config.name}", integers={"test_rows": test}, floats={"x": x, "y": y}
        )
        return {"train": self._generate_examples(x[train], y[train]), "test": self._generate_examples(x[test], y[test])}

    def _generate_examples(self, x: np.ndarray, y: np.ndarray) -> Iterator[tuple[int, dict[str, Any]]]:
        for row in range(len(x)):
            target = {"label": int(y[row])} if self.CLASSIFIES else {"y": y[row : row + 1].astype(np.float32)}
            yield row, {"x": x[row].astype(np.float32), **target}


class BreastCancer(_Table):
    """569 tumours, 30 measures of cell nuclei, benign or malignant (Wolberg, Street and Mangasarian, 1995)."""

    BUNCH = staticmethod(load_breast_cancer)


class Wine(_Table):
    """178 wines of three cultivars, 13 chemical measures (Aeberhard and Forina, 1992)."""

    BUNCH = staticmethod(load_wine)


class Diabetes(_Table):
    """442 patients, 10 measures in their own units, and the progression of diabetes a year on (Efron et al., 2004)."""

    BUNCH = staticmethod(lambda: load_diabetes(scaled=False))
    CLASSIFIES = False


TABLES = {builder.name: builder for builder in (BreastCancer, Wine, Diabetes)}


def table_fold(name: str, fold: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Features, targets, and the rows of a fold's training and test split.

    Args:
        name: `"breast_cancer"`, `"wine"` or `"diabetes"`.
        fold: 0..4; folds of the classifications are stratified.

    Example:
    >>> x, y, train, test = table_fold("wine", 0)
    >>> x.shape, len(train), len(test)
    ((178, 13), 142, 36)
    """
    builder = TABLES[name]
    bunch = builder.BUNCH()
    folds = (StratifiedKFold if builder.CLASSIFIES else KFold)(FOLDS, shuffle=True, random_state=0)
    train, test = list(folds.split(bunch.data, bunch.target))[fold]
    # Mixed, so that a slice of a split is a fair sample of it.
    train, test = (np.random.default_rng(fold).permutation(rows).astype(np.int64) for rows in (train, test))
    return bunch.data, bunch.target, train, test
