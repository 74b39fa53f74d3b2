"""Which processes are there: their locks go with them."""

import subprocess
import sys
from pathlib import Path

import pytest

from iss_jax.jobs import presence
from iss_jax.jobs.processes import ALONE, Processes

ROOT = Path(__file__).parents[2]
SECOND = Processes(2, 1)
_HOLDER = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from pathlib import Path
from iss_jax.jobs import presence
from iss_jax.jobs.processes import Processes

held = presence.hold(Path(sys.argv[1]), Processes(2, 1))
print(held is not None, flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_a_process_is_there_until_it_is_killed(tmp_path):
    assert not presence.has_gone(tmp_path, SECOND)  # it never came
    command = [sys.executable, "-c", _HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None and process.stdout.readline() == b"True\n"
            assert not presence.has_gone(tmp_path, SECOND)
            with presence.stand_in(tmp_path, SECOND) as free:
                assert not free
            with presence.stand_in(tmp_path, Processes(2, 0)) as free:
                assert free
        finally:
            process.kill()
    assert presence.has_gone(tmp_path, SECOND)


def test_one_stands_in_at_a_time(tmp_path):
    with presence.stand_in(tmp_path, SECOND) as first, presence.stand_in(tmp_path, SECOND) as then:
        assert first and not then
        assert presence.hold(tmp_path, SECOND) is None
    with presence.stand_in(tmp_path, SECOND) as again:
        assert again


def test_of_other_machines_and_of_buckets_nothing_is_known(tmp_path):
    held = presence.hold(tmp_path, SECOND)
    held.close()
    (file,) = (tmp_path / "processes").iterdir()
    assert presence.has_gone(tmp_path, SECOND)
    file.write_text("another machine")
    assert not presence.has_gone(tmp_path, SECOND)
    bucket = "gs://bucket/run"
    assert presence.hold(bucket, SECOND) is None and not presence.has_gone(bucket, SECOND)
    with presence.stand_in(bucket, SECOND) as free:
        assert not free
    assert presence.hold(tmp_path / "alone", ALONE) is None and not (tmp_path / "alone").exists()
