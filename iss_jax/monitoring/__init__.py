"""A monitor beside a policy in its control loop: what it acts on now, and whether to ring."""
