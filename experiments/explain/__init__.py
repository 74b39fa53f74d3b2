"""Parts of `explain_episode`."""
