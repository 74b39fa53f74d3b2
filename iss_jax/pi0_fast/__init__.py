"""π0-FAST: one Gemma that writes actions as tokens; its tree, its forward pass, its maps."""
