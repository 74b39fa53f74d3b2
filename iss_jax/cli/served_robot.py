"""The robot that a server says it serves."""

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
