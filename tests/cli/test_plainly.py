"""A mistake of the user is said in a line; a fault of the program keeps its traceback."""

import pytest

from iss_jax.cli.plainly import plainly


@pytest.mark.parametrize(
    "error", [ValueError("no dataset"), KeyError("no dataset"), FileNotFoundError("no dataset")]
)
def test_mistakes_end_the_command_with_their_message(error, capsys):
    with pytest.raises(SystemExit) as ended, plainly("explain"):
        raise error
    assert ended.value.code == 1
    assert capsys.readouterr().err == "iss-jax explain: no dataset\n"


def test_faults_are_raised():
    with pytest.raises(ZeroDivisionError), plainly("explain"):
        raise ZeroDivisionError
