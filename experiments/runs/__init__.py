"""Parts of all commands: command line and plans."""
