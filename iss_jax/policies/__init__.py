"""Policies as they are met: openpi's checkpoints and live objects, and policies behind a server."""
