"""Simulation of schedules: the real `decide()` on a virtual clock, over checkouts whose course is known. Pure.

`courses.py` says what is known of a checkout, `replay.py` lets time pass for it, and `pieces.py` shares that work
between checkouts. `way.py` sums up what a schedule does, `side.py` what it does with its experiments (`arms.py`),
`comparison.py` stands two beside each other, and `drawn.py` makes up a population.
"""

from recovery.domain.simulation.comparison import Comparison, Difference, Fate, Schedules, Simulation
from recovery.domain.simulation.courses import Course
from recovery.domain.simulation.replay import Cause, Entry, replay
from recovery.domain.simulation.sums import Sums

__all__ = ["Cause", "Comparison", "Course", "Difference", "Entry", "Fate", "Schedules", "Simulation", "Sums", "replay"]
