"""Parts of `experiments.monitor`: trials with signals, detectors, what they are worth."""
