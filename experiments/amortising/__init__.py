"""Parts of `amortise`."""
