"""The console script `iss-jax`: one file a command, see `iss_jax.cli.main`."""
