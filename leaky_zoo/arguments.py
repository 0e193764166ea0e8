"""What public functions take: arguments by names that exist, switches that are bools, numbers that are numbers."""

import difflib
import functools
import inspect
import numbers
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from leaky_zoo.errors import InvalidInputError

Function = TypeVar("Function", bound=Callable[..., Any])


def check_names(given: Iterable[Any], accepted: Iterable[str], owner: str) -> None:
    """Refuse arguments by a name that nobody knows.

    Args:
        given: names.
        accepted: names that there are.
        owner: what takes them, for the message.

    Raises:
        TypeError: the message names the nearest accepted name.

    Example:
    >>> check_names(["widht"], ["width", "depth"], "LeakyMLP")
    Traceback (most recent call last):
        ...
    TypeError: LeakyMLP takes no argument 'widht'; did you mean 'width'?
    """
    accepted = list(accepted)
    for name in given:
        if name not in accepted:
            raise TypeError(f"{owner} takes no argument {_shown(name)}{nearest(name, accepted)}")


def nearest(name: Any, accepted: Iterable[str]) -> str:
    """The end of a sentence about a name that there is not: the nearest one, or all that there are.

    >>> nearest("bathc_size", ["batch_size", "name"]), nearest("x", ["batch_size", "name"])
    ("; did you mean 'batch_size'?", '. It takes: batch_size, name')
    """
    accepted = list(accepted)
    near = difflib.get_close_matches(str(name), accepted, n=1)
    return f"; did you mean {near[0]!r}?" if near else f". It takes: {', '.join(accepted)}"


def naming_the_nearest(function: Function) -> Function:
    """A function whose call by an argument that does not exist names the nearest one.

    Args:
        function: a function, or the `__init__` of a class; one that takes any arguments is given back as it is.

    Example:
    >>> @naming_the_nearest
    ... def draw(colour="black"):
    ...     return colour
    >>> draw(colur="red")
    Traceback (most recent call last):
        ...
    TypeError: draw takes no argument 'colur'; did you mean 'colour'?
    """
    accepted = argument_names(function)
    if accepted is None:
        return function  # it sees to them itself

    owner = function.__qualname__.removesuffix(".__init__").rpartition(".")[2]

    @functools.wraps(function)
    def checked(*positional: Any, **arguments: Any) -> Any:
        check_names(arguments, accepted, owner)
        return function(*positional, **arguments)

    return checked  # type: ignore[return-value]


def argument_names(function: Callable[..., Any]) -> list[str] | None:
    """Names of what a function, or a class when it is called, takes by name; None where it takes any.

    >>> argument_names(nearest)
    ['name', 'accepted']
    """
    parameters = list(inspect.signature(function).parameters.values())
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return None
    named = [each.name for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    return [name for name in named if name != "self"]


def switch(name: str, value: Any) -> bool:
    """A bool, and nothing that only counts as one.

    Raises:
        InvalidInputError: `value` is not a bool.

    Example:
    >>> switch("stream", True)
    True
    """
    if type(value).__name__ in ("bool", "bool_"):
        return bool(value)
    raise InvalidInputError(f"`{name}` must be True or False. Received: {name}={_shown(value)}")


def whole(name: str, value: Any, least: int | None = None) -> int:
    """A whole number: no text, no fraction, no bool.

    Raises:
        InvalidInputError: `value` is none, or below `least`.

    Example:
    >>> whole("depth", 12, least=1)
    12
    """
    right = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if right and (least is None or value >= least):
        return int(value)
    bound = "" if least is None else f" of at least {least}"
    raise InvalidInputError(f"`{name}` must be a whole number{bound}. Received: {name}={_shown(value)}")


def number(name: str, value: Any) -> float:
    """A number: no text, no bool.

    Raises:
        InvalidInputError: `value` is none.

    Example:
    >>> number("effective_depth", 3)
    3.0
    """
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return float(value)
    raise InvalidInputError(f"`{name}` must be a number. Received: {name}={_shown(value)}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
