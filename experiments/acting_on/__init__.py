"""Parts of the command that says what a policy acts on."""
