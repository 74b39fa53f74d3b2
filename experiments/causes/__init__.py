"""Parts of `experiments.known_causes`: cues whose effect on a policy is known exactly."""
