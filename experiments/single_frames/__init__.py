"""Parts of the commands on single frames."""
