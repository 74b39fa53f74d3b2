"""The robot that a server says it serves, and what it says of frames that it cannot answer."""

import contextlib
from collections.abc import Iterator

from iss_jax.policies.configs import CONFIGS


def served_robot(address: str) -> str:
    """Name of the robot of ours that a server's greeting names; empty where it names none.

    Args:
        address: `ws://host:port`.

    Raises:
        ConnectionError: No server answers.
    """
    from iss_jax.policies.client import PolicyClient

    with PolicyClient(address, retries=0) as client:
        client.connect()
        name = client.metadata.get("robot")
    return name if isinstance(name, str) and name in CONFIGS else ""


@contextlib.contextmanager
def told_plainly(address: str) -> Iterator[None]:
    """Errors that a server reports, as errors of what it was sent.

    Args:
        address: Of the server; empty where there is none.

    Raises:
        ValueError: The server reported an error; the message ends with its last line.
    """
    if not address:
        yield
        return
    from iss_jax.policies.client import ServerError

    try:
        yield
    except ServerError as error:
        # Servers send where in themselves it arose; what arose stands last.
        said = str(error).strip().splitlines()[-1]
        raise ValueError(f"--server {address} refuses a frame of this robot: {said}") from error
