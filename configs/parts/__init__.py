"""Parts that several configurations share."""
