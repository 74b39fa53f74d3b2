"""Numerical versions of what run directories hold, one a kind of item, and layouts of items.

Versions are raised by hand where the same item comes to have other numbers: results of an earlier
version are then computed anew, and not taken for today's. What is stored and says no version is of
version 1. Layouts are raised where the items themselves change: `open_run` refuses the directories
of others by name.
"""

MAPS = 2
"""Maps and effects of a policy. 2: a frame's map does not depend on its row of the batch."""

TRIALS = 1
"""Rollouts: success and steps."""

EPISODES = 2
"""Layout of items that name an episode. 2: they hold its instructions."""

EXPLAINED = 3
"""Layout of explained episodes. 2: items name the episode, of which several may lie in one file; 3:
they hold its words."""
