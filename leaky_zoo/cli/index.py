"""`leaky-zoo index`: the hashes of a folder of presets, for those who fetch them."""

from pathlib import Path
from typing import Annotated

import typer

from leaky_zoo.cli.console import AsJson, command, err, out, print_json, table


def index(
    folder: Annotated[Path, typer.Argument(help="A folder that holds a folder for each preset.")],
    base: Annotated[
        str | None, typer.Option("--base", help="URL of the folder to fetch them from, for an index that is kept here.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write FOLDER/index.json: the hash of every file of every preset. It lets anybody check every byte.

    [dim]Examples:[/]  leaky-zoo index my_zoo   |   leaky-zoo index my_zoo --base https://example.org/my_zoo
    """
    from leaky_zoo.zoo import HashedIndex, write_index

    path = write_index(folder, base)
    presets = HashedIndex.read(str(path)).presets
    if as_json:
        print_json({"path": str(path), "presets": presets})
        return
    out.print(table(str(path), ("preset", "files"), ((name, len(files)) for name, files in presets.items())))
    name = next(iter(presets))
    err.print(f"next: {command('leaky-zoo', 'info', f'{path}#{name}')}", soft_wrap=True, markup=False, highlight=False)
