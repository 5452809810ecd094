"""Simulation of schedules: the real `decide()` on a virtual clock, over checkouts whose course is known. Pure.

`courses.py` says what is known of a checkout, `replay.py` lets time pass for it, `pieces.py` shares that work between
checkouts, `comparison.py` sums up what two schedules do, and `drawn.py` makes up a population.
"""

from recovery.domain.simulation.comparison import Comparison, Difference, Fate, Schedules, Simulation, Sums
from recovery.domain.simulation.courses import Course
from recovery.domain.simulation.replay import Cause, Entry, replay

__all__ = ["Cause", "Comparison", "Course", "Difference", "Entry", "Fate", "Schedules", "Simulation", "Sums", "replay"]
