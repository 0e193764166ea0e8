"""The part I/N of some work that one of N processes takes."""

from collections.abc import Sequence
from typing import TypeVar

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import shown_text

Item = TypeVar("Item")


def parse_shard(shard: str) -> tuple[int, int]:
    """`(I, N)` of `"I/N"`.

    Raises:
        InvalidInputError: not two whole numbers with `1 <= I <= N`.

    Example:
    >>> parse_shard("3/8")
    (3, 8)
    """
    first, slash, second = shard.partition("/")
    whole = slash and all(part.isascii() and part.isdigit() and len(part) < 10 for part in (first, second))
    if not whole or not 1 <= int(first) <= int(second):
        raise InvalidInputError(
            f"--shard is I/N, with I from 1 to N, as 3/8. Received: {shown_text(shard, 80)} "
            "(a SLURM array that counts from 1: --shard $SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_MAX)"
        )
    return int(first), int(second)


def shard_of(items: Sequence[Item], shard: str | None) -> list[Item]:
    """Every N-th item from the I-th, so that long and short ones are spread evenly; None takes all.

    Raises:
        InvalidInputError: as `parse_shard`.

    Example:
    >>> shard_of([1, 2, 3, 4, 5], "2/2")
    [2, 4]
    """
    if shard is None:
        return list(items)
    index, count = parse_shard(shard)
    return list(items[index - 1 :: count])
