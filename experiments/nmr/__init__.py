"""Parts of the NMR commands."""
