"""`python -m iss_jax.cli`, where the console script is not on the path."""

from iss_jax.cli.main import main

if __name__ == "__main__":
    main()
