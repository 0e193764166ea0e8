"""What is measured on the subsample: intrinsic dimensions, and the path in two dimensions."""

from typing import Any

import numpy as np

from leaky_zoo.geometry.subsample import even_rows

LEAST_SAMPLES = 30
NEIGHBORS = 20  # scikit-dimension's default for the likelihood
DIGITS = 4
DRAWN = 100


def intrinsic_dimensions(sample: np.ndarray) -> dict[str, float | None]:
    """TwoNN (Facco et al. 2017) and maximum likelihood (Levina & Bickel 2004) of a sample, by scikit-dimension.

    Args:
        sample: one representation per row, shape `(s, w)`.

    Returns:
        `two_nn_dimension` and `mle_dimension`; None where there are fewer than 30 different rows, or one dimension.

    Example:
    >>> plane = np.random.default_rng(0).normal(size=(500, 2)) @ np.eye(2, 7)
    >>> 1.8 < intrinsic_dimensions(plane)["two_nn_dimension"] < 2.2
    True
    """
    undefined: dict[str, float | None] = {"two_nn_dimension": None, "mle_dimension": None}
    rows = np.asarray(sample, dtype=np.float64)
    # Equal rows have equal projections: sorting numbers is much quicker than sorting rows.
    direction = np.random.default_rng(0).standard_normal(rows.shape[1])
    rows = rows[np.sort(np.unique((rows * direction).sum(axis=1), return_index=True)[1])]
    if len(rows) < LEAST_SAMPLES or rows.shape[1] < 2:
        return undefined
    from skdim.id import MLE, TwoNN  # numba comes with it: half a second that only this needs
    from sklearn.neighbors import NearestNeighbors

    # Both estimators from one search.
    neighbors = min(NEIGHBORS, len(rows) - 1)
    distances, places = NearestNeighbors(n_neighbors=neighbors).fit(rows).kneighbors()
    apart = distances[:, 0] > 0
    if np.count_nonzero(apart) < LEAST_SAMPLES:
        return undefined
    likelihood = MLE().fit(
        rows[apart],
        precomputed_knn_arrays=(distances[apart], places[apart]),
        n_neighbors=min(neighbors, apart.sum() - 1),
    )
    found = {
        "two_nn_dimension": TwoNN(dist=True).fit(distances[apart, :2]).dimension_,
        "mle_dimension": likelihood.dimension_,
    }
    return {name: float(value) if np.isfinite(value) else None for name, value in found.items()}


def project_path(samples: list[np.ndarray], labels: np.ndarray | None) -> dict[str, Any] | None:
    """A path of representations in its first two principal components, over samples and layers together.

    Args:
        samples: `A_0..A_L` of the subsample, each of shape `(s, w)`; at most 100 evenly spaced rows are taken.
        labels: a label or target for each sample, to colour by; None for none.

    Returns:
        `explained`, `coordinates` (layer, sample, 2) and `labels`; None where nothing varies or there is no sample.

    Example:
    >>> random = np.random.default_rng(0)
    >>> path = project_path([random.normal(size=(20, 5)) for _ in range(3)], None)
    >>> len(path["coordinates"]), len(path["coordinates"][0]), len(path["explained"])
    (3, 20, 2)
    """
    count = len(samples[0]) if samples else 0
    if not count:
        return None
    rows = even_rows(count, DRAWN)
    stacked = np.stack([np.asarray(sample[rows], dtype=np.float64) for sample in samples])
    flat = stacked.reshape(-1, stacked.shape[-1])
    centred = flat - flat.mean(axis=0)
    if stacked.shape[-1] < 2 or not centred.any():
        return None
    values, vectors = np.linalg.eigh(centred.T @ centred)
    # The sign of a component is arbitrary: fix it, so that two audits draw the same picture.
    axes = vectors[:, :-3:-1]
    axes = axes * np.where(axes[np.abs(axes).argmax(axis=0), [0, 1]] < 0, -1.0, 1.0)
    coordinates = (centred @ axes).reshape(*stacked.shape[:2], 2)
    scale = float(np.abs(coordinates).max()) or 1.0
    return {
        "explained": [round(float(value), DIGITS) for value in values[:-3:-1] / values.sum()],
        "coordinates": np.round(coordinates / scale, DIGITS).tolist(),
        "labels": None if labels is None else [round(float(label), DIGITS) for label in labels[rows]],
    }
