"""Figures, overlays, videos and report pages (extra `viz`)."""
