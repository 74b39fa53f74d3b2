"""From flags to a policy that is open."""

import pytest

from iss_jax.cli.explain import get_config
from iss_jax.cli.subjects import opened_subject
from iss_jax.explain.openpi_subject import OpenpiSubject


def test_the_embedded_policy_is_opened_and_named():
    config = get_config()
    config.checkpoint = config.dataset = "embedded"
    found = opened_subject(config)
    assert isinstance(found.subject, OpenpiSubject)
    assert (found.model, found.name, found.note) == ("π0.5", "embedded", "")
    assert found.subject.action_dims == 7 and found.subject.frame_options.max_token_len == 40
    assert "camera base_0_rgb" in found.table
    with found.subject_open():
        pass


def test_a_server_that_is_not_there_is_said():
    config = get_config()
    config.dataset, config.robot, config.server = "embedded", "pi05_droid", "ws://127.0.0.1:9"
    with pytest.raises(ValueError, match="robot 'pi05_droid' does not fit: camera"):
        opened_subject(config)
