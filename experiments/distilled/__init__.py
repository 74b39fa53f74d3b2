"""Parts of the command that trains policies with a known cause by distillation."""
