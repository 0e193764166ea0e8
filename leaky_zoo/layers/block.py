"""What every leaky residual block shares: the Euler step, the penalty, the weights in the paper's units."""

import inspect
from typing import Any

import keras
import numpy as np
from keras import ops

from leaky_zoo.arguments import check_names, number, switch
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.layers.initializers import LeakyVariance

# Of every Keras layer, by name.
KERAS_ARGUMENTS = ("name", "dtype", "trainable", "activity_regularizer", "input_shape", "input_dim", "batch_size")


class LeakyBlock(keras.layers.Layer):
    """One Euler step of `dA/dp = -L~ A + W s(A)`, first order: `A_l = (1 - rho L~) A_{l-1} + rho W s(A_{l-1})`.

    `s` is the ReLU followed by a row of ones, so the bias is the last column of `W`. The block stores
    `V = W / max(L~, 1)`: entries of `W` are of order `L~`, too large for the usual learning rates. At `L~ = 0` it is a
    residual block; continuous in `L~` down to there. Paper, section 1.1.

    Subclasses give `build` (which calls `_add_kernel`), `apply_weights`, and the numpy maps `columns`, `restore`,
    `activations` and `pull_back` that analysis uses.

    Args:
        effective_depth: `L~ >= 0`.
        step_size: `rho` in (0, 1] used when the call gives none, and by the initialiser. Default 0.1.
        weight_decay: `mu >= 0` of the penalty `(mu / 2) rho ||W||_F^2`, bias included, added to the loss. Default 0.
        use_bias: whether `s` has its row of ones. Default True.
        kernel_initializer: Keras initialiser of `V`. Default None: `LeakyVariance` for this block's step.

    Raises:
        TypeError: an argument that does not exist; the message names the nearest one.
        InvalidInputError: an argument of another kind or out of its range, or a fixed step overshoots (`rho L~ >= 1`).
    """

    def __init__(
        self,
        effective_depth: float,
        step_size: float = 0.1,
        weight_decay: float = 0.0,
        use_bias: bool = True,
        kernel_initializer: Any = None,
        **kwargs: Any,
    ) -> None:
        check_names(kwargs, [*KERAS_ARGUMENTS, *self.own_arguments()], type(self).__name__)
        super().__init__(autocast=False, **kwargs)
        effective_depth, step_size = number("effective_depth", effective_depth), number("step_size", step_size)
        weight_decay = number("weight_decay", weight_decay)
        if not effective_depth >= 0:
            raise InvalidInputError(f"`effective_depth` must be >= 0. Received: effective_depth={effective_depth}")
        if not 0 < step_size <= 1:
            raise InvalidInputError(f"`step_size` must be in (0, 1]. Received: step_size={step_size}")
        if not weight_decay >= 0:
            raise InvalidInputError(f"`weight_decay` must be >= 0. Received: weight_decay={weight_decay}")
        if kernel_initializer is None:
            kernel_initializer = LeakyVariance(effective_depth, step_size)
        if step_size * effective_depth >= 1:
            raise InvalidInputError(
                f"step_size * effective_depth must be below 1, or the step overshoots the leak. "
                f"Received: step_size={step_size}, effective_depth={effective_depth}"
            )
        self.effective_depth, self.step_size, self.weight_decay = effective_depth, step_size, weight_decay
        self.use_bias = switch("use_bias", use_bias)
        self.kernel_initializer = keras.initializers.get(kernel_initializer)
        self.scale = max(self.effective_depth, 1.0)

    @classmethod
    def own_arguments(cls) -> list[str]:
        """Names of the arguments that this kind of block takes beside those of every Keras layer."""
        kinds = [kind for kind in cls.__mro__ if issubclass(kind, LeakyBlock)]
        return [name for kind in kinds for name in inspect.signature(kind.__init__).parameters if name != "kwargs"][1:]

    def _add_kernel(self, shape: tuple[int, ...]) -> None:
        self.kernel = self.add_weight(name="kernel", shape=shape, initializer=self.kernel_initializer, autocast=False)
        self.bias = (
            self.add_weight(name="bias", shape=shape[-1:], initializer="zeros", autocast=False)
            if self.use_bias
            else None
        )
        # The ramp of mu lives here, so that it is saved with the model and is the same on every replica.
        self.penalty_factor = self.add_weight(
            name="penalty_factor", shape=(), initializer="ones", trainable=False, autocast=False
        )

    def apply_weights(self, features: Any) -> Any:
        """`V s(A)` from `relu(A)`, in the compute dtype."""
        raise NotImplementedError(f"{type(self).__name__} must define apply_weights.")

    def call(self, inputs: Any, step_size: Any = None) -> Any:
        # A Python number has to be made a tensor in this dtype: cast, it would pass through float32.
        dtype = self.kernel.dtype  # of the weights as they were made: `dtype_policy` may have been set since
        rho = ops.convert_to_tensor(self.step_size, dtype) if step_size is None else ops.cast(step_size, dtype)
        if self.weight_decay:
            self.add_loss(0.5 * self.weight_decay * self.penalty_factor * rho * self.squared_norm())
        inputs = ops.cast(inputs, self.compute_dtype)
        leak = ops.cast(1 - rho * self.effective_depth, self.compute_dtype)
        move = ops.cast(rho * self.scale, self.compute_dtype)
        return leak * inputs + move * self.apply_weights(ops.relu(inputs))

    def squared_norm(self) -> Any:
        """`||W||_F^2`, bias included, as a tensor in the variable dtype."""
        total = ops.sum(ops.square(self.kernel))
        if self.bias is not None:
            total = total + ops.sum(ops.square(self.bias))
        return self.scale**2 * total

    def compute_output_shape(self, inputs_shape: Any, step_size_shape: Any = None) -> Any:
        return tuple(inputs_shape)

    @property
    def weight_matrix(self) -> np.ndarray:
        """`W` of the paper, float64, shape `(w, f)`, the bias (if there is one) as its last column."""
        kernel = _to_numpy(self.kernel)
        matrix = kernel.reshape(-1, kernel.shape[-1]).T
        if self.bias is not None:
            matrix = np.hstack([matrix, _to_numpy(self.bias)[:, None]])
        return self.scale * matrix

    def assign_weight_matrix(self, matrix: np.ndarray) -> None:
        """Set the weights from `W` as `weight_matrix` gives it."""
        expected = self.weight_matrix.shape
        if np.shape(matrix) != expected:
            raise InvalidInputError(f"`matrix` must have shape {expected}. Received: shape={np.shape(matrix)}")
        held = np.asarray(matrix) / self.scale
        if self.bias is not None:
            self.bias.assign(held[:, -1])
            held = held[:, :-1]
        self.kernel.assign(held.T.reshape(self.kernel.shape))

    @property
    def feature_words(self) -> str:
        """What a row of `s(A)` stands for, in an audit."""
        return "units"

    def columns(self, representation: np.ndarray, dtype: Any = np.float64) -> np.ndarray:
        """The paper's columns of `A` as rows: `(n, w)` for a dense block, `(n h w, channels)` for a convolution."""
        raise NotImplementedError(f"{type(self).__name__} must define columns.")

    def restore(self, columns: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """The inverse of `columns` for a representation of this shape."""
        raise NotImplementedError(f"{type(self).__name__} must define restore.")

    def activations(
        self, representation: np.ndarray, dtype: Any = np.float64, out: np.ndarray | None = None
    ) -> np.ndarray:
        """`s(A)` without its row of ones, as rows that align with `columns`; written into `out`, if that is given."""
        raise NotImplementedError(f"{type(self).__name__} must define activations.")

    def features(self, representation: np.ndarray) -> np.ndarray:
        """`s(A)` as float64 rows that align with `columns`, the ones (if there is a bias) last."""
        return with_ones(self.activations(representation), self.use_bias)

    def pull_back(
        self,
        gradient: np.ndarray,
        representation: np.ndarray,
        weights: np.ndarray | None = None,
        out: np.ndarray | None = None,
    ) -> np.ndarray:
        """Gradient by `A` from the gradient by `W s(A)`, both as `columns`; `A` as the layer has it.

        `weights` is `weight_matrix`, for a caller that has it already and chooses the dtype; default None: float64.
        A dense block writes into `out`, if that is given.
        """
        raise NotImplementedError(f"{type(self).__name__} must define pull_back.")

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("autocast", None)
        config.update(
            effective_depth=self.effective_depth,
            step_size=self.step_size,
            weight_decay=self.weight_decay,
            use_bias=self.use_bias,
            kernel_initializer=keras.initializers.serialize(self.kernel_initializer),
        )
        return config


def with_ones(rows: np.ndarray, use_bias: bool) -> np.ndarray:
    """Append the column of ones that multiplies the bias, in the dtype of the rows."""
    return np.hstack([rows, np.ones((rows.shape[0], 1), rows.dtype)]) if use_bias else rows


def _to_numpy(variable: Any) -> np.ndarray:
    # By way of a tensor: a variable that is mirrored over replicas has no array of its own.
    return ops.convert_to_numpy(ops.convert_to_tensor(variable)).astype(np.float64)
