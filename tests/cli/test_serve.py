"""A checkpoint served from the console script."""

import numpy as np
import pytest

from iss_jax.cli import main as cli, serve
from iss_jax.policies import server


def test_the_embedded_policy_answers_its_robots_dict(monkeypatch, capsys):
    """What is handed to the server is a function of the robot's dict, and says its shapes."""
    given = {}

    def stop(infer, **options):
        given.update(options, infer=infer)
        options["ready"](1234)

    monkeypatch.setattr(server, "serve", stop)
    with pytest.raises(SystemExit) as ended:
        cli.main(["iss-jax", "serve", "--checkpoint", "embedded", "--num_steps", "1"])
    assert not ended.value.code and "serving ws://127.0.0.1:1234" in capsys.readouterr().out
    assert given["metadata"] == {"robot": "embedded", "action_horizon": 16, "action_dim": 7}
    frames = {camera: np.zeros((80, 80, 3), np.uint8) for camera in ("front", "wrist", "overhead")}
    raw = {"images": frames, "state": np.zeros(8, np.float32), "prompt": "pick up the milk"}
    first, second = (given["infer"](raw)["actions"] for _ in range(2))
    assert first.shape == (16, 7) and not np.allclose(first, second)
    raw["noise"] = np.zeros((16, 7), np.float32)
    first, second = (given["infer"](raw)["actions"] for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--checkpoint: none given"),
        (("--checkpoint", "embedded", "--robot", "pi05_droid"), "does not fit"),
    ],
)
def test_mistakes_are_said(words, said, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(["iss-jax", "serve", *words])
    assert ended.value.code == 1 and said in capsys.readouterr().err


def test_its_keys_are_those_of_a_server():
    assert serve.get_config().port == 8000
