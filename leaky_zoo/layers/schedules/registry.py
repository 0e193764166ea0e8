"""Schedules by name."""

import difflib
from typing import Any

from leaky_zoo.arguments import argument_names, nearest
from leaky_zoo.errors import InvalidInputError
from leaky_zoo.io.reading import one_line, shown
from leaky_zoo.layers.schedules.base import SCHEDULES, Schedule


def get_schedule(schedule: "str | Schedule | dict[str, Any]") -> Schedule:
    """A schedule from its name, its serialised form, or itself.

    Args:
        schedule: a name of `SCHEDULES`, a `Schedule`, or `{"name": ..., **arguments}`.

    Returns:
        The `Schedule`.

    Raises:
        InvalidInputError: an unknown name or an argument that the schedule does not take.

    Example:
    >>> from leaky_zoo.layers import get_schedule
    >>> get_schedule({"name": "irregular", "amplitude": 1.0}).amplitude
    1.0
    """
    if isinstance(schedule, Schedule):
        return schedule
    if isinstance(schedule, str):
        schedule = {"name": schedule}
    if not isinstance(schedule, dict) or "name" not in schedule:
        raise InvalidInputError(
            f"A schedule is a name, a dict with a `name`, or a Schedule. Received: schedule={shown(schedule)}"
        )
    arguments = {key: value for key, value in schedule.items() if key != "name"}
    name = schedule["name"]
    if not isinstance(name, str) or name not in SCHEDULES:
        near = difflib.get_close_matches(str(name), SCHEDULES, n=1)
        raise InvalidInputError(
            f"Unknown schedule {shown(name)}{f', did you mean {near[0]!r}?' if near else '.'} "
            f"Known: {', '.join(SCHEDULES)}. Your own is known once its class is defined."
        )
    known = argument_names(SCHEDULES[name])
    for key in arguments:
        if known is not None and key not in known:
            raise InvalidInputError(f"The {name} schedule takes no argument {shown(key)}{nearest(key, known)}")
    try:
        return SCHEDULES[name].from_config(arguments)
    except InvalidInputError:
        raise
    except (TypeError, ValueError, OverflowError) as error:
        raise InvalidInputError(f"The {name} schedule does not take these arguments: {one_line(error)}") from error
