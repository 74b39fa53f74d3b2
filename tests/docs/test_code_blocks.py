"""Every code block of the README and of the documentation runs, on the embedded policy.

Python blocks of one page run in one namespace, in their order, after the substitutions below; what
the page takes for given is in `tests/reader.py`. Shell blocks are not run: their commands are
parsed by the commands' own parsers, and targets, extras, modules and files are looked up. A block
that is neither says why in its page, `<!-- not run: ... -->`, and is counted here.
"""

import ast
import contextlib
import os
import re

import jax
import pytest
import reader
from code_blocks import PAGES, ROOT, blocks, checked, commands

import iss_jax.adaptive
import iss_jax.config
from iss_jax import embedded

CHECKPOINT = repr(str(embedded.checkpoint_path()))
RELEASED = '__import__("reader").released()'
# What stands in a page -> what is run. Checkpoints and datasets of the reader are the embedded
# ones. Caps are lowered and dtypes are those of the file, for it is the call that is tested and not
# the map, and what is alike compiles once.
SUBSTITUTIONS = {
    '"checkpoints/pi05_libero/30000", "pi05_libero")': f'{RELEASED}, "pi05_libero", dtype=None)',
    '"checkpoints/pi05_libero/30000", "pi05_libero",': f'{RELEASED}, "pi05_libero", dtype=None,',
    '"checkpoints/pi05_libero/30000"': RELEASED,
    '"checkpoints/my_arm/10000", mine)': f"{CHECKPOINT}, mine, dtype=None)",
    '"checkpoints/my_arm/20000", mine)': f"{CHECKPOINT}, mine, dtype=None)",
    '"datasets/mine"': repr(str(embedded.episodes_path())),
    "slice(10, 11)": "slice(0, 1)",
    "Sampling(dtype=jnp.bfloat16)": "Sampling()",
    "most_masks=2000": "most_masks=40",
    "most_masks=5000": "most_masks=50",
    "num_masks=100": "num_masks=10",
}
# Of maps whose block does not say how many masks they take.
NUM_MASKS, NUM_MASKS_WITH_GRADIENTS, ROUND = 10, 4, 10

PYTHON = tuple(page for page in PAGES if any(b.language == "python" for b in blocks(page)))
SHELL = tuple(page for page in PAGES if any(b.language == "bash" for b in blocks(page)))
NOT_RUN = {"docs/guide/pytorch.md": 3, "docs/guide/training.md": 1}


@pytest.fixture
def few_masks(monkeypatch):
    monkeypatch.setattr(iss_jax.config, "NUM_MASKS", NUM_MASKS)
    monkeypatch.setattr(iss_jax.config, "NUM_MASKS_WITH_GRADIENTS", NUM_MASKS_WITH_GRADIENTS)
    monkeypatch.setattr(iss_jax.adaptive, "ROUND", ROUND)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder that holds what a reader's checkout does, and takes what the blocks write."""
    (tmp_path / "docs").symlink_to(ROOT / "docs")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def substituted(code: str, extra: dict[str, str]) -> str:
    for given, run in (SUBSTITUTIONS | extra).items():
        code = code.replace(given, run)
    return code


@pytest.mark.slow
@pytest.mark.parametrize("page", PYTHON)
def test_python_blocks_run(page, few_masks, checkout):
    code = [block for block in blocks(page) if block.language == "python"]
    namespace = reader.things() | {"__name__": "__main__"}
    made = re.search(r"\bsal\b( =)?", "".join(block.code for block in code))
    needs_map = made is not None and made[1] is None
    with (
        contextlib.ExitStack() as stack,
        # As a reader has them; the suite itself is stricter.
        jax.numpy_dtype_promotion("standard"),
        jax.numpy_rank_promotion("allow"),
    ):
        if needs_map:
            namespace["sal"] = reader.saliency()
        extra = {}
        if any("ws://" in block.code for block in code):
            extra['"ws://localhost:8000"'] = repr(stack.enter_context(reader.server()))
        if any('"runs/nmr"' in block.code for block in code):
            extra['"runs/nmr"'] = repr(str(reader.run_directory(checkout / "runs" / "nmr")))
        for block in code:
            if block.not_run:
                ast.parse(block.code)
                continue
            text = "\n" * (block.line - 1) + substituted(block.code, extra)
            exec(compile(text, os.path.join(ROOT, page), "exec"), namespace)


# It is ml_collections that loads configs so.
@pytest.mark.filterwarnings("ignore:the load_module:DeprecationWarning")
@pytest.mark.parametrize("page", SHELL)
def test_shell_blocks_name_what_there_is(page):
    for block in blocks(page):
        if block.language == "bash" and not block.not_run:
            found = [checked(words) for words in commands(block.code)]
            assert any(found), f"{page}:{block.line}: nothing in this block can be checked"


def test_blocks_have_a_language_that_is_run_or_are_output():
    for page in PAGES:
        for block in blocks(page):
            assert block.language in ("python", "bash", ""), f"{page}:{block.line}"
            if not block.language:
                assert not re.search(r"^(python|make|pip|iss-jax) ", block.code, re.MULTILINE), (
                    f"{page}:{block.line}: commands in a block without a language"
                )


def test_few_blocks_are_not_run_and_each_says_why():
    counted = {
        page: sum(bool(block.not_run) for block in blocks(page))
        for page in PAGES
        if any(block.not_run for block in blocks(page))
    }
    assert counted == NOT_RUN


@pytest.mark.parametrize(
    "words", [["explian"], ["explain", "--chekpoint", "x"], ["explain", "--stride", "many"]]
)
def test_a_console_command_that_cannot_be_is_found(words):
    with pytest.raises((AssertionError, SystemExit)):
        checked(["iss-jax", *words])


def test_a_console_command_that_can_be_is_parsed():
    assert checked(["iss-jax", "explain", "--checkpoint", "<step>", "--iss.num_masks", "20"])
