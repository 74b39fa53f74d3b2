"""Parts of the `zoo` commands: policies of known recipes, and what foretells their success."""
