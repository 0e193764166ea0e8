"""Teachers' samples as files that recipes can name."""

from pathlib import Path


def teacher_file(path: Path, dimensions: tuple[int, ...], **arguments) -> Path:
    """The samples of `teacher_arrays(dimensions, **arguments)` as an `.npz`, written when first asked for."""
    import numpy as np

    from leaky_zoo.data.bottleneck_teacher import teacher_arrays
    from leaky_zoo.io.files import replacing

    if not path.exists():
        (x, y), (x_test, y_test) = (teacher_arrays(dimensions, **arguments)[split] for split in ("train", "test"))
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as aside:
            np.savez_compressed(aside, x=x, y=y, x_test=x_test, y_test=y_test)
    return path
