"""Episodes of a policy explained: maps, players, figures and videos, of any kind of policy."""
