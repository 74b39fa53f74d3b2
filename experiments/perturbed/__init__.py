"""Parts of the commands on perturbed frames."""
