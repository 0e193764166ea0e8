"""A second audit, written from the paper: numpy and h5py only, N x N kernels, nothing of `leaky_zoo`.

It reads a preset's `config.json` and `model.weights.h5` itself and knows fully-connected nets whose steps do not learn.
"""

import json
from pathlib import Path

import h5py
import numpy as np


class IndependentAudit:
    """Energies and momenta of a preset on its training samples, in float64.

    Args:
        folder: of the preset.
        x: raw inputs, one row per sample.
        y: labels, or targets in raw units.
        gamma_0: relative regulariser of the kernels.
    """

    def __init__(self, folder: Path, x: np.ndarray, y: np.ndarray, gamma_0: float = 1e-5) -> None:
        self.config = json.loads((folder / "config.json").read_text())["config"]
        self.depth, self.lt = self.config["depth"], float(self.config["effective_depth"])
        self.mu, self.gamma_0 = self.config["weight_decay"], gamma_0
        with h5py.File(folder / "model.weights.h5") as file:
            layers = file["layers"]
            self.stem = [np.array(layers[f"dense/vars/{i}"], np.float64) for i in range(2)]
            self.head = [np.array(layers[f"dense_1/vars/{i}"], np.float64) for i in range(2)]
            self.weights = []
            for row in range(self.depth):
                block = layers["leaky_dense" + (f"_{row}" if row else "")]["vars"]
                kernel, bias = (np.array(block[str(i)], np.float64) for i in range(2))
                # The file holds V = W / max(L~, 1); the bias is the last column of W.
                self.weights.append(max(self.lt, 1.0) * np.vstack([kernel, bias]).T)
            stored = np.array(layers["step_sizes/vars/0"], np.float64)
        self.rho = stored  # sums to one up to float32
        self._run(x.reshape(len(x), -1).astype(np.float64), y)

    def _run(self, x: np.ndarray, y: np.ndarray) -> None:
        mean, variance = (np.asarray(self.config[f"input_{key}"], np.float64) for key in ("mean", "variance"))
        self.inputs = (x - mean) / np.sqrt(variance)
        path = [(self.inputs @ self.stem[0] + self.stem[1]).T]  # A_0, w x N as in the paper
        for w, rho in zip(self.weights, self.rho, strict=True):
            path.append((1 - rho * self.lt) * path[-1] + rho * w @ features(path[-1]))
        self.path = path
        self.momenta = [self._slope(path[-1], y) / -self.mu]
        for row in range(self.depth - 1, 0, -1):
            p, a, w = self.momenta[0], path[row], self.weights[row][:, :-1]
            self.momenta.insert(0, (1 - self.rho[row] * self.lt) * p + self.rho[row] * (a > 0) * (w.T @ p))

    def _slope(self, last: np.ndarray, y: np.ndarray) -> np.ndarray:
        """dC/dA_L of the mean loss, w x N."""
        outputs, samples = last.T @ self.head[0] + self.head[1], last.shape[1]
        if self.config["task"] == "classification":
            shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
            slope = shifted / shifted.sum(axis=1, keepdims=True)
            slope[np.arange(samples), y] -= 1
        else:
            mean, variance = (np.asarray(self.config[f"output_{key}"], np.float64) for key in ("mean", "variance"))
            slope = 2 * (outputs - (y.reshape(samples, -1) - mean) / np.sqrt(variance)) / outputs.shape[1]
        return self.head[0] @ slope.T / samples

    def layer(self, number: int) -> dict[str, float]:
        """What an audit's row `l` says, from 1: energies and momenta on (A_{l-1}, P_l)."""
        a, w, p = self.path[number - 1], self.weights[number - 1], self.momenta[number - 1]
        s = features(a)
        kernel = s.T @ s  # N x N
        gamma = self.gamma_0 * np.linalg.eigvalsh(kernel)[-1]
        inverse = np.linalg.inv(kernel + gamma * np.eye(len(kernel)))

        def inner(left: np.ndarray, right: np.ndarray) -> float:
            return float(np.sum((left @ inverse) * right))

        velocity, unit = w @ s - self.lt * a, self.lt or 1.0
        pairing = p @ s.T
        hamiltonian = np.sum(pairing**2) / (2 * unit) - (np.sum(p * a) if self.lt else 0.0)
        found = {
            "cost_of_identity": inner(a, a),
            "kinetic_energy": inner(velocity, velocity) / (2 * unit),
            "cross_term": inner(velocity, a),
            "hamiltonian": hamiltonian,
            "criticality_residual": np.linalg.norm(w - pairing) / np.linalg.norm(w),
            "momentum_norm": np.linalg.norm(p),
            "weight_norm": np.linalg.norm(w),
        }
        if self.lt:
            found |= {
                "potential_energy": -self.lt / 2 * inner(a, a),
                "rank_from_hamiltonian": -2 * hamiltonian / self.lt,
            }
        spectrum = np.linalg.svd(self.path[number], compute_uv=False)
        return found | {"stable_rank": np.sum(spectrum**2) / spectrum[0] ** 2}


def features(a: np.ndarray) -> np.ndarray:
    """`s(A)`: ReLU, then a row of ones."""
    return np.vstack([np.maximum(a, 0), np.ones((1, a.shape[1]))])
