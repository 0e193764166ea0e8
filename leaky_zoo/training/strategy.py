"""Which devices a run uses: a `tf.distribute` strategy by name or by what the machine has."""

import tensorflow as tf

from leaky_zoo.errors import InvalidInputError


def make_strategy(name: str = "auto", devices: int | None = None) -> tf.distribute.Strategy:
    """A strategy for one machine.

    Args:
        name: `"auto"` (every GPU if there is one, else the CPU), `"cpu"`, or `"mirrored"`. Default "auto".
        devices: how many replicas: GPUs, or logical CPU devices where there is no GPU or `name` is `"cpu"`.
            Default None: all GPUs, or one CPU.

    Returns:
        A `tf.distribute.Strategy`; one replica runs under TensorFlow's default strategy.

    Raises:
        InvalidInputError: an unknown name, more GPUs than there are, or logical devices asked for after TensorFlow
            has set up its devices.
    """
    if name not in ("auto", "cpu", "mirrored"):
        raise InvalidInputError(f"`strategy` is 'auto', 'cpu' or 'mirrored'. Received: strategy={name!r}")
    if devices is not None and devices < 1:
        raise InvalidInputError(f"`devices` must be at least 1. Received: devices={devices}")
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


def describe(strategy: tf.distribute.Strategy) -> str:
    """The devices in words, for a card: `"1 x NVIDIA H100"`, `"CPU, 2 logical replicas"`."""
    replicas = strategy.num_replicas_in_sync
    gpus = tf.config.list_physical_devices("GPU")
    mirrored = isinstance(strategy, tf.distribute.MirroredStrategy)
    if gpus and mirrored and any("GPU" in device for device in strategy.extended.worker_devices):
        return f"{replicas} x {tf.config.experimental.get_device_details(gpus[0]).get('device_name', 'GPU')}"
    return "CPU" if replicas == 1 else f"CPU, {replicas} logical replicas"
