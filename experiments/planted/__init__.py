"""Parts of `planted_shortcuts`."""
