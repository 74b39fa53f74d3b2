"""Parts of `estimator_accuracy`."""
