"""Whether a model is a network of ours, asked before anything is done with it."""

from typing import Any

from leaky_zoo.errors import InvalidInputError
from leaky_zoo.networks.families import all_families
from leaky_zoo.networks.network import LeakyNetwork


def require_ours(model: Any, what: str) -> None:
    """Refuse what is not a network of ours.

    Args:
        model: a model.
        what: who asks, for the message.

    Raises:
        InvalidInputError: the model is not a `LeakyNetwork`.

    Example:
    >>> from leaky_zoo.networks import LeakyMLP
    >>> require_ours(LeakyMLP((4,), 2, width=8, depth=5), "evaluate_network")
    """
    if not isinstance(model, LeakyNetwork):
        ours = " or a ".join(family.__name__ for family in all_families().values())
        raise InvalidInputError(f"{what} needs a {ours}. Received: {type(model).__name__}")
