"""Figures and overlays, on matplotlib (extra `viz`)."""
