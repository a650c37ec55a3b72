"""The order in which the bAbI tasks are taught: what is not learned beside the others comes first.

Why: docs/decisions/0020.
"""

import dataclasses
from collections.abc import Sequence

from memory_core.stories.babi import TASKS

STEPS = 20_000
SETTLE = 0.6  # of all updates, the last ones: meanwhile the step size falls to nothing


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of the course.

    end: after which share of all updates.
    tasks: those that are drawn.
    reads: the share of the step size by which what decides what is read is taught.
    """

    end: float
    tasks: tuple[int, ...]
    reads: float = 1.0


COURSE = (
    Stage(0.07, (16, 19), reads=0.1),
    Stage(0.19, (16, 19), reads=0.5),
    Stage(0.24, (15, 16, 17, 19), reads=0.5),
    Stage(1.0, tuple(TASKS)),
)


def stage_of(course: Sequence[Stage], share: float) -> int:
    """The number of the stage after a share of all updates."""
    return next((number for number, stage in enumerate(course) if share < stage.end), len(course) - 1)
