"""Numerical versions of what run directories hold, one a kind of item.

Raised by hand where the same item comes to have other numbers: results of an earlier version are
then computed anew, and not taken for today's. What is stored and says no version is of version 1.
"""

MAPS = 2
"""Maps and effects of a policy. 2: a frame's map does not depend on its row of the batch."""

TRIALS = 1
"""Rollouts: success and steps."""
