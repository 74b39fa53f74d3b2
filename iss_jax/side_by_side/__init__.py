"""Two policies on the same frames: what each acts on, and the difference with its interval."""
