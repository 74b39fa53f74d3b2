"""The variant of a configuration, `configs/<name>.py:<variant>`."""

from collections.abc import Sequence


def chosen(variant: str, variants: Sequence[str]) -> str:
    """The variant, one of those that there are.

    Raises:
        ValueError: It is not.
    """
    if variant not in variants:
        raise ValueError(f"variant {variant!r} given, one of {tuple(variants)} wanted")
    return variant
