"""Parts of all commands: what they are given."""
