"""Which devices a run uses: a strategy by name, by what the machine has, or by the cluster this process is in."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Any

import numpy as np
import tensorflow as tf

from leaky_zoo.errors import InvalidInputError, PeerLostError

STRATEGIES = ("auto", "cpu", "mirrored", "multi_worker")
# What TensorFlow raises when another process of the cluster has gone, or never came.
PEER_ERRORS = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
    tf.errors.InternalError,
    tf.errors.UnknownError,
)


class Strategy:
    """The devices and processes of a run: a `tf.distribute.Strategy`, and which of its processes writes.

    Args:
        distribute: TensorFlow's strategy.

    Attributes:
        distribute: as given.
        replicas: how many share a batch, over all processes.
        is_cluster: whether more than one process takes part.
        is_chief: whether this process is the one that writes: the chief, or worker 0 where the cluster names none.

    Example:
    >>> strategy = make_strategy("cpu")
    >>> strategy.replicas, strategy.is_chief, strategy.description
    (1, True, 'CPU')
    """

    def __init__(self, distribute: tf.distribute.Strategy) -> None:
        self.distribute = distribute
        self.replicas = int(distribute.num_replicas_in_sync)
        self.is_cluster = isinstance(distribute, tf.distribute.MultiWorkerMirroredStrategy)
        self.is_chief = True
        if self.is_cluster:
            resolver = distribute.cluster_resolver
            has_chief = "chief" in resolver.cluster_spec().as_dict()
            self.is_chief = resolver.task_type == "chief" or (resolver.task_id == 0 and not has_chief)

    def scope(self) -> Any:
        """TensorFlow's scope: variables made in it live where the strategy wants them."""
        return self.distribute.scope()

    def run(self, function: Callable, *args: Any) -> Any:
        """Call a function on every replica of this process; its values by replica."""
        return self.distribute.run(function, args=args)

    def first(self, values: Any) -> tf.Tensor:
        """The first replica's value, of values that are the same on all."""
        return self.distribute.experimental_local_results(values)[0]

    def sum_over_replicas(self, share: Callable[[int], np.ndarray]) -> np.ndarray:
        """Sum over all replicas of all processes of what each gives; `share` is called with the replica's number.

        Raises:
            PeerLostError: another worker has gone.
        """
        values = self.distribute.experimental_distribute_values_from_function(
            lambda context: share(context.replica_id_in_sync_group)
        )
        with self.peers():
            return np.asarray(self.distribute.reduce(tf.distribute.ReduceOp.SUM, values, axis=None))

    def from_chief(self, array: np.ndarray) -> np.ndarray:
        """The chief's array on every worker, bit for bit; all workers call it with arrays of one shape and dtype.

        Args:
            array: of a dtype whose size is a multiple of 4 bytes; with one process it comes back as it is.

        Raises:
            PeerLostError: another worker has gone.
        """
        if not self.is_cluster:
            return array
        array = np.ascontiguousarray(array)
        # As integers: a sum with zeros would turn -0.0 into 0.0.
        bits = array.reshape(-1).view(np.int32) if self.is_chief else np.zeros(array.nbytes // 4, np.int32)
        with self.peers(), self.scope():
            total = self._of_first_replicas(tf.constant(bits)).numpy()
        return total.view(array.dtype).reshape(array.shape)

    @contextlib.contextmanager
    def peers(self, where: str = "") -> Iterator[None]:
        """Say it in one sentence when another worker has gone.

        Args:
            where: what this process was doing, as "after step 7". Default: nothing.

        Raises:
            PeerLostError: in place of TensorFlow's errors, in a cluster.
        """
        try:
            yield
        except PEER_ERRORS as error:
            if not self.is_cluster:
                raise
            said = error.message.splitlines()[0] if error.message else type(error).__name__
            raise PeerLostError(
                f"Another worker has gone{where and ' '}{where}: start all of them again with --resume. ({said})"
            ) from error

    @property
    def description(self) -> str:
        """The devices in words, for a card: `"1 x NVIDIA H100"`, `"CPU, 2 logical replicas"`, `"CPU, 2 workers"`."""
        gpus = tf.config.list_physical_devices("GPU")
        many = isinstance(self.distribute, tf.distribute.MirroredStrategy | tf.distribute.MultiWorkerMirroredStrategy)
        if gpus and many and any("GPU" in device for device in self.distribute.extended.worker_devices):
            return f"{self.replicas} x {tf.config.experimental.get_device_details(gpus[0]).get('device_name', 'GPU')}"
        if self.is_cluster:
            return f"CPU, {self.replicas} workers"
        return "CPU" if self.replicas == 1 else f"CPU, {self.replicas} logical replicas"

    @cached_property
    def _of_first_replicas(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """Sum of what the first replica of each worker gives."""

        def share(bits: tf.Tensor) -> tf.Tensor:
            context = tf.distribute.get_replica_context()
            first = tf.cast(tf.equal(context.replica_id_in_sync_group, 0), tf.int32)
            return context.all_reduce(tf.distribute.ReduceOp.SUM, first * bits)

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.int32)], jit_compile=False)
        def summed(bits: tf.Tensor) -> tf.Tensor:
            return self.first(self.run(share, bits))

        return summed


def make_strategy(name: str = "auto", devices: int | None = None) -> Strategy:
    """A strategy for one machine, or for this process's place in a cluster.

    Args:
        name: `"auto"` (every GPU if there is one, else the CPU), `"cpu"`, `"mirrored"` (all visible GPUs, or `devices`
            logical CPU devices), or `"multi_worker"` (the cluster that the environment variable TF_CONFIG describes,
            each worker with all its GPUs or one CPU). Default "auto".
        devices: how many replicas: GPUs, or logical CPU devices where there is no GPU or `name` is `"cpu"`. Not for
            `"multi_worker"`. Default None: all GPUs, or one CPU.

    Returns:
        The `Strategy`; one replica runs under TensorFlow's default strategy.

    Raises:
        InvalidInputError: an unknown name, more GPUs than there are, logical devices or a cluster asked for after
            TensorFlow has set up its devices, or no usable TF_CONFIG.
        PeerLostError: the cluster could not be set up.

    Example:
    >>> make_strategy("cpu").replicas
    1
    """
    if name not in STRATEGIES:
        raise InvalidInputError(f"`strategy` must be one of {', '.join(STRATEGIES)}. Received: strategy={name!r}")
    if devices is not None and devices < 1:
        raise InvalidInputError(f"`devices` must be at least 1. Received: devices={devices}")
    if name == "multi_worker":
        return Strategy(_multi_worker(devices))
    return Strategy(_one_machine(name, devices))


def _one_machine(name: str, devices: int | None) -> tf.distribute.Strategy:
    gpus = [] if name == "cpu" else tf.config.list_physical_devices("GPU")
    if gpus:
        if devices and devices > len(gpus):
            raise InvalidInputError(f"This machine has {len(gpus)} GPUs. Received: devices={devices}")
        return tf.distribute.MirroredStrategy([f"GPU:{row}" for row in range(devices or len(gpus))])
    if not devices or devices == 1:
        on_gpu_machine = bool(tf.config.list_physical_devices("GPU"))
        return tf.distribute.OneDeviceStrategy("/CPU:0") if on_gpu_machine else tf.distribute.get_strategy()
    cpu = tf.config.list_physical_devices("CPU")[0]
    current = tf.config.get_logical_device_configuration(cpu)
    if current is None or len(current) < devices:
        try:
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * devices)
        except RuntimeError as error:
            raise InvalidInputError(
                f"{devices} logical CPU devices must be asked for before TensorFlow runs anything: start a new process."
            ) from error
    return tf.distribute.MirroredStrategy([f"CPU:{row}" for row in range(devices)])


def _multi_worker(devices: int | None) -> tf.distribute.Strategy:
    if devices is not None:
        raise InvalidInputError(
            f"`devices` is for one machine: with 'multi_worker' TF_CONFIG says how many take part. Received: {devices}"
        )
    example = '{"cluster": {"worker": ["host1:port", "host2:port"]}, "task": {"type": "worker", "index": 0}}'
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        kind, index = config["task"]["type"], int(config["task"]["index"])
        if kind not in ("chief", "worker") or not 0 <= index < len(config["cluster"][kind]):
            raise ValueError
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidInputError(
            f"strategy 'multi_worker' needs the environment variable TF_CONFIG, such as {example}; `leaky-zoo train "
            f"--workers N` starts a cluster on this machine. Received: TF_CONFIG={text!r}"
        ) from error
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise InvalidInputError(
            "A cluster must be joined before TensorFlow runs anything: start a new process."
        ) from error
    except tf.errors.OpError as error:
        raise PeerLostError(f"The cluster could not be set up: {error.message}") from error
