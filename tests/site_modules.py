"""The modules of `docs/site`, which lie in no package."""

import importlib.util
import types

from code_blocks import ROOT


def load(name: str) -> types.ModuleType:
    """One of them by its name."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "site" / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
