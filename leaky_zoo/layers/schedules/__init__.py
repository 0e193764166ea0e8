"""Step-size schedules: how the vector `rho` starts and how it moves. One class per file; add yours the same way."""

from leaky_zoo.layers.schedules.adaptive import Adaptive
from leaky_zoo.layers.schedules.base import SCHEDULES, Schedule, UpdatedSchedule
from leaky_zoo.layers.schedules.equidistant import Equidistant
from leaky_zoo.layers.schedules.equidistributing import Equidistributing
from leaky_zoo.layers.schedules.fixed import Fixed
from leaky_zoo.layers.schedules.hamiltonian import Hamiltonian
from leaky_zoo.layers.schedules.irregular import Irregular
from leaky_zoo.layers.schedules.learnable import Learnable
from leaky_zoo.layers.schedules.local_error import LocalError
from leaky_zoo.layers.schedules.registry import get_schedule

__all__ = [
    "SCHEDULES",
    "Adaptive",
    "Equidistant",
    "Equidistributing",
    "Fixed",
    "Hamiltonian",
    "Irregular",
    "Learnable",
    "LocalError",
    "Schedule",
    "UpdatedSchedule",
    "get_schedule",
]
