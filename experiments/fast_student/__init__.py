"""A small π0-FAST taught by the embedded policy, and what two divergences say of it."""
