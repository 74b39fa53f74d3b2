"""LIBERO environments: cameras, region labels, layouts, experts and rollouts (extra `libero`)."""
