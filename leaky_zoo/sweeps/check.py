"""`python -m leaky_zoo.sweeps.check`: build what each recipe describes, without training it.

A process of its own: the sweep itself never loads TensorFlow or data, and memory is given back before trainers start.
Reads recipe paths from stdin, one a line; writes one JSON object a line: `{"recipe", "problem"}`.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from leaky_zoo.errors import LeakyZooError
from leaky_zoo.io.reading import one_line, shown_text
from leaky_zoo.processes.user_modules import import_modules
from leaky_zoo.sweeps.spec import Cell


def find_problems(
    cells: Sequence[Cell], data_dir: Path | None = None, progress: Callable[[], None] = lambda: None
) -> dict[str, str]:
    """What stands against training these cells: data, splits, batch sizes, depths, dtypes.

    Args:
        cells: valid ones, by their fields.
        data_dir: TFDS folder. Default None.
        progress: called after each cell. Default: nothing.

    Returns:
        `{cell name: problem}`, only of those that have one.

    Raises:
        LeakyZooError: the check itself died.
    """
    command = [sys.executable, "-m", "leaky_zoo.sweeps.check", *([str(data_dir)] if data_dir else [])]
    # Only what was given: what is chosen for other fields depends on the data and the family.
    recipes = {cell.name: cell.recipe.model_dump(mode="json", exclude_unset=True) for cell in cells if cell.recipe}
    asked = [{"name": name, "recipe": recipe} for name, recipe in recipes.items()]
    found, answered = {}, 0
    with tempfile.TemporaryFile("w+") as questions, tempfile.TemporaryFile("w+") as words:
        questions.writelines(json.dumps(question) + "\n" for question in asked)
        questions.seek(0)
        environment = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
        with subprocess.Popen(
            command, stdin=questions, stdout=subprocess.PIPE, stderr=words, text=True, env=environment
        ) as process:
            assert process.stdout
            for line in process.stdout:
                answer = json.loads(line)
                answered += 1
                progress()
                if answer["problem"]:
                    found[answer["name"]] = answer["problem"]
        words.seek(0)
        last = (words.read().strip().splitlines() or ["no words"])[-1]
    if process.returncode or answered != len(asked):
        raise LeakyZooError(f"The check of the recipes ended with code {process.returncode}: {shown_text(last, 300)}")
    return found


def main() -> None:
    """Answer each recipe on stdin."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # whatever a data set's builder prints is no answer
    from leaky_zoo.zoo.recipe import Recipe

    import_modules()
    data_dir = sys.argv[1] if len(sys.argv) > 1 else None
    known: dict[str, str | None] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        recipe = Recipe.from_dict(asked["recipe"])
        # Seeds and lengths change nothing about what can be built.
        others = {"name", "seed", "optimizer", "lbfgs", "converge", "log_every"}
        kind = json.dumps([recipe.model_dump(mode="json", exclude=others), recipe.optimizer.micro_batches])
        if kind not in known:
            known[kind] = _problem(recipe, data_dir)
        answers.write(json.dumps({"name": asked["name"], "problem": known[kind]}) + "\n")


def _problem(recipe: Any, data_dir: str | None) -> str | None:
    import keras

    from leaky_zoo.training.building import augmentation, batch_size, build, data_of

    keras.backend.clear_session()
    try:
        data = data_of(recipe, data_dir)
        for split in filter(None, (recipe.data.train, recipe.data.validation, recipe.data.test)):
            data.select(split)
        batch_size(recipe, len(data.select(recipe.data.train)[0]))
        augmentation(recipe, data)
        build(recipe, data)
    except LeakyZooError as error:
        return one_line(error)
    except (ValueError, TypeError) as error:  # Keras's own refusals, of a dtype for example
        return f"the network cannot be built: {one_line(error)}"
    return None


if __name__ == "__main__":
    main()
