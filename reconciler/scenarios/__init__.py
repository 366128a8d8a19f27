"""The pipeline simulator and its incidents as data: the demo, the tests, the drills.

`load("SC-01a")` reads a story, `simulate(story)` tells its observations, `configuration(story)` the configuration that
goes with them, and `truth(story)` what really became of every event.
"""

from reconciler.scenarios.configuration import configuration
from reconciler.scenarios.loading import load, names, read
from reconciler.scenarios.sections import StoryError
from reconciler.scenarios.simulator import simulate
from reconciler.scenarios.story import Story
from reconciler.scenarios.truth import Truth, truth

__all__ = ["Story", "StoryError", "Truth", "configuration", "load", "names", "read", "simulate", "truth"]
