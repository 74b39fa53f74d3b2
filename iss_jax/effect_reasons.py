"""Why effects have no shares, by number."""

NOT_TESTED = 0.02
"""A player that its donors change by less than this was not tested, see `Effects.moved`."""

REASONS = (
    "",
    "the effects do not exceed what the frame's own copy gives",
    "no donor",
    "not tested: the donors do not change the nuisance",
    "the policy's actions are NaN or infinite in some of the runs",
)
"""Why there are no shares, by `Effects.reason`."""

SILENT = 1
NO_DONOR = 2
UNTESTED = 3
NOT_FINITE = 4
