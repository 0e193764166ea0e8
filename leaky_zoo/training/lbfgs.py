"""Full-batch L-BFGS in float64: takes a small-data net from where Adam stops to a critical point."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from leaky_zoo.analysis.streaming import collect
from leaky_zoo.errors import CheckFailedError
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.training.curvature import KroneckerCoordinates
from leaky_zoo.training.recipe import LBFGSPart


class Objective:
    """The regularised objective of a network on a whole data set, as a function of one float64 vector.

    Args:
        network: a float64 network; its trainable weights are the vector.
        x: raw inputs.
        y: labels or targets.
    """

    def __init__(self, network: LeakyNetwork, x: np.ndarray, y: np.ndarray) -> None:
        self.network = network
        self.variables = [variable.value for variable in network.trainable_variables]
        self.shapes = [tuple(variable.shape) for variable in self.variables]
        self.sizes = [int(np.prod(shape, dtype=int)) for shape in self.shapes]
        self.x, self.y = tf.constant(x.astype(np.float64)), tf.constant(y)
        self._loss = network.loss_function()
        self._graph = tf.function(self._value_and_gradient, jit_compile=False)

    def get(self) -> np.ndarray:
        """The current weights as one vector."""
        return np.concatenate([variable.numpy().ravel() for variable in self.variables])

    def set(self, vector: np.ndarray) -> None:
        """Set the weights from one vector."""
        for variable, part, shape in zip(self.variables, self._split(vector), self.shapes, strict=True):
            variable.assign(part.reshape(shape))

    def __call__(self, vector: np.ndarray) -> tuple[float, np.ndarray]:
        """Objective and gradient at a vector."""
        self.set(vector)
        value, gradients = self._graph()
        return float(value), np.concatenate([gradient.numpy().ravel() for gradient in gradients])

    def _value_and_gradient(self) -> tuple[tf.Tensor, list[tf.Tensor]]:
        with tf.GradientTape() as tape:
            value = self._loss(self.y, self.network(self.x, training=False)) + self.network.penalty()
        return value, tape.gradient(value, self.variables, unconnected_gradients="zero")

    def _split(self, vector: np.ndarray) -> list[np.ndarray]:
        return np.split(vector, np.cumsum(self.sizes)[:-1])


@dataclass
class LBFGSProgress:
    """How far the phase has come, after whole rounds.

    Attributes:
        iterations, evaluations: so far.
        objective: at the present weights; None before the first round.
        criticality_residuals: one for each layer.
        ended: whether it has stopped before all iterations.
    """

    iterations: int = 0
    evaluations: int = 0
    objective: float | None = None
    criticality_residuals: list[float] = field(default_factory=list)
    ended: bool = False


def minimize_objective(
    network: LeakyNetwork,
    x: np.ndarray,
    y: np.ndarray,
    settings: LBFGSPart,
    on_iteration: Callable[[int, float], None] | None = None,
    *,
    progress: LBFGSProgress | None = None,
    on_round: Callable[[LBFGSProgress], None] | None = None,
) -> dict[str, Any]:
    """Run L-BFGS (scipy) from the network's weights; the network keeps the last point, which is the best.

    A round is a function of the weights it starts from and of the iterations before it: a phase that goes on from the
    weights and the `LBFGSProgress` after some round ends in the same bits as one that was not interrupted.

    Args:
        network: float64 network, changed in place; step sizes that are not learnable stay.
        x: all training inputs.
        y: all training labels or targets.
        settings: see `LBFGSPart`.
        on_iteration: called with (iteration, objective). Default None.
        progress: where to go on, the network having the weights of then. Default None: from the start.
        on_round: called with the `LBFGSProgress` after each round. Default None.

    Returns:
        `{"objective", "iterations", "evaluations", "criticality_residuals", "converged"}`: one residual for each layer;
        `converged` None where `settings.criticality` is. The residual is that of the blocks: stem, head and learnable
        step sizes have none.

    Raises:
        CheckFailedError: the objective is not finite.
    """
    objective = Objective(network, x, y)
    progress = progress or LBFGSProgress()
    done = progress.iterations

    def report(intermediate_result: Any) -> None:
        nonlocal done
        done += 1
        if on_iteration:
            on_iteration(done, float(intermediate_result.fun))

    by_rounds = settings.preconditioner == "kronecker" or settings.criticality is not None
    rounds = settings.round if by_rounds else settings.iterations
    while done < settings.iterations and not progress.ended:
        before = done
        coordinates = KroneckerCoordinates(network, x, seed=done) if settings.preconditioner == "kronecker" else None
        here = objective.get()
        limits = {"maxiter": min(rounds, settings.iterations - done), "maxfun": 2 * rounds, "ftol": 0.0, "gtol": 0.0}
        with threadpool_limits(1):  # small matrices: BLAS threads would only get into the way of TensorFlow's
            result = minimize(
                _in_coordinates(objective, coordinates),
                coordinates.coordinates(here) if coordinates else here,
                jac=True,
                method="L-BFGS-B",
                callback=report,
                options={**limits, "maxcor": settings.history},
            )
        if not np.isfinite(result.fun):
            raise CheckFailedError(f"The objective became {result.fun} in L-BFGS iteration {done}.")
        objective.set(coordinates.weights(result.x) if coordinates else result.x)
        residuals = criticality_residuals(network, x, y)
        progress.evaluations += int(result.nfev)
        progress.iterations, progress.objective, progress.criticality_residuals = done, float(result.fun), residuals
        progress.ended = done == before or bool(_critical(residuals, settings.criticality))
        if on_round:
            on_round(progress)
    return {
        "objective": progress.objective,
        "iterations": progress.iterations,
        "evaluations": progress.evaluations,
        "criticality_residuals": progress.criticality_residuals,
        "converged": _critical(progress.criticality_residuals, settings.criticality),
    }


def _critical(residuals: list[float], wanted: float | None) -> bool | None:
    return None if wanted is None else bool(residuals) and max(residuals) <= wanted


def criticality_residuals(network: LeakyNetwork, x: np.ndarray, y: np.ndarray) -> list[float]:
    """`||W_l - P_l s^T|| / ||W_l||` for `l = 1..L` on these samples; 0 at a critical point."""
    momenta = collect(network, x, y).momenta(network.settings["weight_decay"])
    pairs = zip((block.weight_matrix for block in network.blocks), momenta, strict=True)
    return [float(np.linalg.norm(w - p.features)) / max(float(np.linalg.norm(w)), 1e-300) for w, p in pairs]


def _in_coordinates(
    objective: Objective, coordinates: KroneckerCoordinates | None
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    if coordinates is None:
        return objective

    def value_and_gradient(u: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = objective(coordinates.weights(u))
        return value, coordinates.gradient(gradient)

    return value_and_gradient
