"""Full-batch L-BFGS in float64: takes a small-data net from where Adam stops to a critical point."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import tensorflow as tf
from scipy.optimize import minimize
from threadpoolctl import threadpool_limits

from leaky_zoo.errors import CheckFailedError
from leaky_zoo.flow.kinks import KinkFinder, why_not
from leaky_zoo.geometry.kinks import Kinks
from leaky_zoo.networks import LeakyNetwork
from leaky_zoo.training.curvature import KroneckerCoordinates
from leaky_zoo.zoo.recipe import LBFGSPart

# Called with iteration, objective, and the newest of the residuals that decide, None where nothing was judged yet.
LBFGSWatcher: TypeAlias = Callable[[int, float, float | None], None]
# A look at the Clarke residual costs about as much as this many iterations, or less.
LOOK_EVERY = 50
# It is several times less than the residual of the sign masks, not more: from there on it is worth a look.
WORTH_A_LOOK = 10


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
        place = {id(variable): row for row, variable in enumerate(network.trainable_variables)}
        self._blocks = [[place[id(v)] for v in (block.kernel, block.bias) if v is not None] for block in network.blocks]
        self.shapes = [tuple(variable.shape) for variable in self.variables]
        self.sizes = [int(np.prod(shape, dtype=int)) for shape in self.shapes]
        self.x, self.y = tf.constant(x.astype(np.float64)), tf.constant(y)
        self._loss = network.loss_function()
        self._graph = tf.function(self._value_and_gradient, autograph=False, jit_compile=False)

    def get(self) -> np.ndarray:
        """The current weights as one vector."""
        return np.concatenate([variable.numpy().ravel() for variable in self.variables])

    def set(self, vector: np.ndarray) -> None:
        """Set the weights from one vector."""
        for variable, part, shape in zip(self.variables, self._split(vector), self.shapes, strict=True):
            variable.assign(part.reshape(shape))

    def __call__(self, vector: np.ndarray) -> tuple[float, np.ndarray]:
        """Objective and gradient at a vector."""
        value, gradient = self._graph(tf.constant(vector))
        return float(value), gradient.numpy()

    def criticality_residuals(self, gradient: np.ndarray) -> list[float]:
        """`||W_l - P_l s^T|| / ||W_l||` for `l = 1..L` at the present weights; 0 at a critical point.

        Since `mu rho_l (W_l - P_l s^T)` is the gradient with respect to `W_l`, it costs nothing beside that.

        Args:
            gradient: of the objective at the present weights, as a call gives it.
        """
        parts, weight_decay = self._split(gradient), self.network.config.weight_decay
        found = []
        steps = (step for path in self.network.paths for step in path.steps)
        for (block, rho), places in zip(steps, self._blocks, strict=True):
            slope = np.sqrt(sum(np.vdot(parts[place], parts[place]) for place in places)) / block.scale
            scale = weight_decay * rho * np.linalg.norm(block.weight_matrix)
            found.append(float(slope / max(scale, 1e-300)))
        return found

    def _value_and_gradient(self, vector: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        # One tensor in and one out: on a small net a call for each variable takes time that counts.
        parts = tf.split(vector, self.sizes)
        for variable, part, shape in zip(self.variables, parts, self.shapes, strict=True):
            variable.assign(tf.reshape(part, shape))
        with tf.GradientTape() as tape:
            value = self._loss(self.y, self.network(self.x, training=False)) + self.network.penalty()
        gradients = tape.gradient(value, self.variables, unconnected_gradients="zero")
        return value, tf.concat([tf.reshape(gradient, [-1]) for gradient in gradients], 0)

    def _split(self, vector: np.ndarray) -> list[np.ndarray]:
        return np.split(vector, np.cumsum(self.sizes)[:-1])


@dataclass
class LBFGSProgress:
    """How far the phase has come, after whole rounds.

    Attributes:
        iterations, evaluations: so far.
        objective: at the present weights; None before the first round.
        criticality_residuals: one for each layer.
        clarke_residuals: one for each layer; None where they were not looked at, or cannot be.
        free_kinks: entries of `A_1..A_L` that were free; None likewise.
        ended: whether it has stopped before all iterations.
    """

    iterations: int = 0
    evaluations: int = 0
    objective: float | None = None
    criticality_residuals: list[float] = field(default_factory=list)
    clarke_residuals: list[float] | None = None
    free_kinks: list[int] | None = None
    ended: bool = False


def minimize_objective(
    network: LeakyNetwork,
    x: np.ndarray,
    y: np.ndarray,
    settings: LBFGSPart,
    on_iteration: LBFGSWatcher | None = None,
    *,
    progress: LBFGSProgress | None = None,
    on_round: Callable[[LBFGSProgress], None] | None = None,
) -> dict[str, Any]:
    """Run L-BFGS (scipy) from the network's weights; the network keeps the last point.

    That is the one of least objective, or, with `settings.average`, the mean of the iterates before it where that is
    nearer to a critical point. A round is a function of the weights it starts from and of the iterations before it: a
    phase that goes on from the weights and the `LBFGSProgress` after some round ends in the same bits as one that was
    not interrupted.

    Args:
        network: float64 network, changed in place; step sizes that are not learnable stay.
        x: all training inputs.
        y: all training labels or targets.
        settings: see `LBFGSPart`.
        on_iteration: called with (iteration, objective, residual); the residual, on the worst layer, is the newest of
            those that decide, None before any was found. Default None.
        progress: where to go on, the network having the weights of then. Default None: from the start.
        on_round: called with the `LBFGSProgress` after each round. Default None.

    Returns:
        `{"objective", "iterations", "evaluations", "criticality_residuals", "clarke_residuals", "free_kinks",
        "converged"}`: one residual for each layer; `converged` None where `settings.criticality` is. Judged is the
        Clarke residual (`geometry.kinks`), where the net has one. The residual is that of the blocks: stem, head and
        learnable step sizes have none.

    Raises:
        CheckFailedError: the objective is not finite.
    """
    objective = Objective(network, x, y)
    progress = progress or LBFGSProgress()
    judge = _Judge(network, x, y, settings.criticality)
    by_rounds = settings.preconditioner == "kronecker" or settings.criticality is not None
    rounds = settings.round if by_rounds else settings.iterations
    while progress.iterations < settings.iterations and not progress.ended:
        before = progress.iterations
        coordinates = KroneckerCoordinates(network, x, before) if settings.preconditioner == "kronecker" else None
        iterations = min(rounds, settings.iterations - before)
        with threadpool_limits(1):  # small matrices: BLAS threads would only get into the way of TensorFlow's
            point, done, evaluations = _round(objective, judge, coordinates, settings, iterations, before, on_iteration)
        progress.iterations, progress.evaluations = done, progress.evaluations + evaluations
        progress.objective, progress.criticality_residuals = point.objective, point.residuals
        kinks = point.kinks
        progress.clarke_residuals = None if kinks is None else kinks.residuals.tolist()
        progress.free_kinks = None if kinks is None else kinks.free.tolist()
        progress.ended = done == before or bool(judge.critical(point))
        if on_round:
            on_round(progress)
    return {
        "objective": progress.objective,
        "iterations": progress.iterations,
        "evaluations": progress.evaluations,
        "criticality_residuals": progress.criticality_residuals,
        "clarke_residuals": progress.clarke_residuals,
        "free_kinks": progress.free_kinks,
        "converged": _small(progress.clarke_residuals or progress.criticality_residuals, settings.criticality),
    }


@dataclass
class _Point:
    """Weights, and how good they are; `kinks` once the judge has looked."""

    weights: np.ndarray
    objective: float
    residuals: list[float]
    kinks: Kinks | None = None


class _Judge:
    """Whether points are critical: in Clarke's sense for nets of dense blocks, by the sign masks for others."""

    def __init__(self, network: LeakyNetwork, x: np.ndarray, y: np.ndarray, wanted: float | None) -> None:
        asked = wanted is not None and why_not(network, len(x)) is None
        self._find = KinkFinder(network, x, y) if asked else None
        self._wanted, self._last = wanted, 0
        self.newest: float | None = None  # on the worst layer, of what was judged last

    def critical(self, point: _Point) -> bool | None:
        """None where nothing is wanted; what was looked at, if it was, decides."""
        residuals = point.residuals if point.kinks is None else point.kinks.residuals.tolist()
        if self._wanted is not None and residuals:
            self.newest = max(residuals)
        return _small(residuals, self._wanted)

    def look(self, point: _Point) -> None:
        """Find the Clarke residual of a point that the network is at."""
        if self._find is not None and point.kinks is None:
            point.kinks = self._find()

    def passing(self, point: _Point, iteration: int) -> bool:
        """Whether a point that the network is at is critical, with a look at its kinks now and then."""
        worth = self._wanted is not None and _small(point.residuals, WORTH_A_LOOK * self._wanted)
        if self._find is not None and worth and iteration - self._last >= LOOK_EVERY:
            self._last = iteration
            self.look(point)
        return bool(self.critical(point))


def _round(
    objective: Objective,
    judge: _Judge,
    coordinates: KroneckerCoordinates | None,
    settings: LBFGSPart,
    iterations: int,
    start: int,
    on_iteration: LBFGSWatcher | None,
) -> tuple[_Point, int, int]:
    """One round from the present weights: the point that it ends at, set; iterations in all, and its evaluations."""
    mean: _Point | None = None
    here, done, evaluations = objective.get(), start, 0
    total, averaged = np.zeros_like(here), 1 if settings.criticality is None else settings.average or 1

    def at(vector: np.ndarray) -> _Point:
        nonlocal evaluations
        evaluations += 1
        weights = coordinates.weights(vector) if coordinates else vector
        value, gradient = objective(weights)
        return _Point(weights, value, objective.criticality_residuals(gradient))

    def report(intermediate_result: Any) -> None:
        nonlocal done, mean
        done += 1
        if on_iteration:
            on_iteration(done, float(intermediate_result.fun), judge.newest)
        if averaged == 1:
            return
        # The iterates go to and fro: at their mean the gradient is several times less (docs/training.md).
        np.add(total, intermediate_result.x, out=total)
        if (done - start) % averaged == 0:
            mean = at(total / averaged)
            total.fill(0)
            if judge.passing(mean, done):
                raise StopIteration

    limits = {"maxiter": iterations, "maxfun": 2 * iterations, "ftol": 0.0, "gtol": 0.0}
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
    point = at(result.x)
    if mean is not None and (judge.critical(mean) or max(mean.residuals) < max(point.residuals)):
        point = mean
    objective.set(point.weights)
    judge.look(point)
    return point, done, evaluations + int(result.nfev)


def _small(residuals: list[float], wanted: float | None) -> bool | None:
    return None if wanted is None else bool(residuals) and max(residuals) <= wanted


def _in_coordinates(
    objective: Objective, coordinates: KroneckerCoordinates | None
) -> Callable[[np.ndarray], tuple[float, np.ndarray]]:
    if coordinates is None:
        return objective

    def value_and_gradient(u: np.ndarray) -> tuple[float, np.ndarray]:
        value, gradient = objective(coordinates.weights(u))
        return value, coordinates.gradient(gradient)

    return value_and_gradient
