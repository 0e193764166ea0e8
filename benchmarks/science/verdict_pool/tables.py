"""Real tables from packages that carry their data; none is downloaded."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np


def _carried(package: str, *parts: str):
    import pandas

    found = find_spec(package)
    if found is None or found.origin is None:
        raise SystemExit(f"This table comes with the package {package}: pip install {package.replace('_', '-')}")
    return pandas.read_csv(Path(found.origin).parent.joinpath(*parts))


def sklearn_table(name: str) -> tuple[np.ndarray, np.ndarray]:
    """A table of scikit-learn: `wine`, `breast_cancer`, `diabetes` (calibration), `iris` (confirmation)."""
    import sklearn.datasets

    x, y = getattr(sklearn.datasets, f"load_{name}")(return_X_y=True)
    return x, y[:, None] if name == "diabetes" else y


def penguins() -> tuple[np.ndarray, np.ndarray]:
    """The species of a penguin from its measures, its island and its sex."""
    import pandas

    table = _carried("palmerpenguins", "data", "penguins.csv").dropna()
    label = table.pop("species").astype("category").cat.codes.to_numpy()
    return pandas.get_dummies(table.drop(columns="year")).to_numpy(float), label.astype(int)


def cars() -> tuple[np.ndarray, np.ndarray]:
    """Consumption, power and acceleration of a car from its engine, its weight, its year and its origin."""
    import json

    import pandas

    found = find_spec("vega_datasets")
    if found is None or found.origin is None:
        raise SystemExit("This table comes with the package vega_datasets: pip install vega_datasets")
    path = Path(found.origin).parent / "_data" / "cars.json"
    table = pandas.DataFrame(json.loads(path.read_text(encoding="utf-8"))).dropna()
    table["year"] = table["Year"].str[:4].astype(int)
    targets = table[["Miles_per_Gallon", "Horsepower", "Acceleration"]].to_numpy(float)
    inputs = pandas.get_dummies(table[["Cylinders", "Displacement", "Weight_in_lbs", "year", "Origin"]])
    return inputs.to_numpy(float), targets


def seattle() -> tuple[np.ndarray, np.ndarray]:
    """Tomorrow's temperatures and wind from three days' weather and the season."""
    table = _carried("vega_datasets", "_data", "seattle-weather.csv")
    days = np.arange(len(table)) * 2 * np.pi / 365.25
    values = table[["precipitation", "temp_max", "temp_min", "wind"]].to_numpy(float)
    past = np.hstack([values[:-3], values[1:-2], values[2:-1]])
    season = np.stack([np.cos(days[3:]), np.sin(days[3:])], axis=1)
    return np.hstack([past, season]), values[3:, 1:]


def temperatures() -> tuple[np.ndarray, np.ndarray]:
    """Six hours of San Francisco's temperature from the twelve before."""
    column = _carried("vega_datasets", "_data", "sf-temps.csv")["temp"].to_numpy(float)
    windows = np.lib.stride_tricks.sliding_window_view(column, 18)[::9]
    return windows[:, :12], windows[:, 12:]
