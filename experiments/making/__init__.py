"""Parts of the commands that make policies, episodes and tables."""
