"""ALOHA's joints as openpi's base model knows them: other signs, angular grippers, joint deltas.

Lengths are of the Interbotix gripper (metres): the fingers' travel, the horn and the arm of its
crank. Angles are radians.
"""

import numpy as np

_SIGNS = np.array([1, -1, -1, 1, 1, 1, 1] * 2, np.float64)
_GRIPPERS = [6, 13]
_FINGER_TRAVEL = (0.01844, 0.05800)
_ARM, _HORN = 0.036, 0.022
_POLICY_ANGLES = (0.5476, 1.6296)
_ROBOT_ANGLES = (-0.6213, 1.4910)
_RELATIVE = np.array([True] * 6 + [False] + [True] * 6 + [False])


def decode_state(state: np.ndarray) -> np.ndarray:
    """ALOHA's 14 state dimensions in the base model's convention."""
    decoded = _SIGNS * np.asarray(state, np.float64)
    closed, opened = _FINGER_TRAVEL
    travel = closed + decoded[_GRIPPERS] * (opened - closed)
    # The crank's triangle: horn and finger's position meet at the angle whose sine this is.
    sine = (_HORN**2 + travel**2 - _ARM**2) / (2 * _HORN * travel)
    low, high = _POLICY_ANGLES
    decoded[_GRIPPERS] = (np.arcsin(np.clip(sine, -1.0, 1.0)) - low) / (high - low)
    return decoded


def encode_actions(actions: np.ndarray, state: np.ndarray) -> np.ndarray:
    """The base model's actions [H, 14], joint deltas to the decoded state, as ALOHA takes them."""
    actions = np.asarray(actions, np.float64) + np.where(_RELATIVE, state[:14], 0.0)
    encoded = _SIGNS * actions
    low, high = _ROBOT_ANGLES
    encoded[..., _GRIPPERS] = (encoded[..., _GRIPPERS] + _POLICY_ANGLES[0] - low) / (high - low)
    return encoded
