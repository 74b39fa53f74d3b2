"""Does the wheel install and work on every Python it names? `make wheels`.

Builds the wheel. For each Python in the classifiers of `pyproject.toml`, it makes an environment
outside the checkout, installs the wheel with its base dependencies, and runs `installed.py` and the
doctor there. A Python that neither this machine has nor uv can fetch is skipped and named. Exits
with 0 when every Python that was found passed, and at least one was found.
"""

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CLASSIFIER = re.compile(r"Programming Language :: Python :: (3\.\d+)")
UV = [sys.executable, "-m", "uv", "--quiet", "--no-config"]


def supported() -> list[str]:
    """The Python versions that the package names."""
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    return [found[1] for line in classifiers if (found := CLASSIFIER.fullmatch(line))]


def at_hand(version: str) -> str | None:
    """An interpreter of that version on this machine: on the path, or one of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    candidates = [sys.executable, shutil.which(f"python{version}")]
    candidates += sorted(map(str, pyenv.glob(f"{version}.*/bin/python")))
    ask = "import sys; print('%d.%d' % sys.version_info[:2])"
    for candidate in filter(None, candidates):
        # A shim of pyenv lies on the path and may have no interpreter behind it.
        answer = subprocess.run([candidate, "-c", ask], capture_output=True, text=True, check=False)
        if answer.stdout.strip() == version:
            return candidate
    return None


def make_environment(version: str, folder: Path) -> str | None:
    """Makes an empty environment; what prevented it, if anything did."""
    interpreter = at_hand(version)
    chosen = [interpreter] if interpreter else [version, "--managed-python"]
    # A machine without a way out should hear so at once.
    patience = {"UV_HTTP_RETRIES": "0", "UV_HTTP_TIMEOUT": "60"}
    made = subprocess.run(
        [*UV, "venv", str(folder), "--python", *chosen],
        env=os.environ | patience,
        capture_output=True,
        text=True,
        check=False,
    )
    return None if made.returncode == 0 else made.stderr.strip().splitlines()[-1].strip()


def complaint(wheel: Path, python: Path, elsewhere: Path) -> str | None:
    """Installs the wheel and uses it; what was said where something failed."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
    for command in (
        [*UV, "pip", "install", "--python", str(python), str(wheel)],
        [str(python), "-I", str(ROOT / ".ci" / "installed.py")],
        [str(python), "-I", "-m", "iss_jax.doctor"],
    ):
        done = subprocess.run(
            command,
            cwd=elsewhere,
            env=environment | {"JAX_PLATFORMS": "cpu"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return None


def checked(wheel: Path, folder: Path, version: str) -> str:
    """Checks one Python and reports it; `ok`, `failed` or `skipped`."""
    start = time.monotonic()
    environment = folder / version
    if reason := make_environment(version, environment):
        print(f"python {version}: skipped, this machine has none ({reason})", flush=True)
        if listed := os.environ.get("ISS_NOT_TRIED"):
            with open(listed, "a") as lines:
                lines.write(f"no Python {version} here: the wheel was NOT tried on it\n")
        return "skipped"
    if said := complaint(wheel, environment / "bin" / "python", folder):
        print(f"python {version}: FAILED, {said}", flush=True)
        return "failed"
    print(f"python {version}: ok, {time.monotonic() - start:.0f} s", flush=True)
    return "ok"


def main() -> int:
    """Checks every Python that is found; returns the exit code."""
    versions = supported()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel"]
        built = subprocess.run(
            [*build, "--directory", name], cwd=ROOT, capture_output=True, text=True, check=False
        )
        if built.returncode:
            print(f"the wheel was not built\n{built.stdout}{built.stderr}")
            return 1
        (wheel,) = folder.glob("*.whl")
        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            outcomes = list(pool.map(functools.partial(checked, wheel, folder), versions))
    print(f"{wheel.name}:", ", ".join(map(" ".join, zip(versions, outcomes, strict=True))))
    return int("failed" in outcomes or "ok" not in outcomes)


if __name__ == "__main__":
    sys.exit(main())
