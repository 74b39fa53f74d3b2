"""Mutants of the numerical core: one small fault each, which some test must notice.

    make mutants                          # every module of MODULES, hours
    make mutants MUTANTS="nmr --jobs 2"   # one module, two mutants at a time

cosmic-ray says where a fault can be put and puts it there (`OPERATORS`). This file runs the tests,
in forks of a process that has imported the libraries already, and no file is ever changed. A test
that is quick, or has killed many mutants, comes earlier. Outcomes are appended to a file, a JSON
object a line, and a mutant whose tests passed in that file is tried again, all others are not.
"""

import argparse
import collections
import dataclasses
import difflib
import hashlib
import importlib
import importlib.abc
import importlib.util
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

# Of what cosmic-ray knows: each operator's opposite and each comparison's neighbours. Replacements
# that leave no program, such as a product turned into a shift, would be killed by anything.
BINARY = (
    "Add_Sub Sub_Add Mul_Div Div_Mul FloorDiv_Mul Mod_FloorDiv Pow_Mul BitAnd_BitOr BitOr_BitAnd"
)
COMPARISON = (
    "Eq_NotEq NotEq_Eq Is_IsNot IsNot_Is Lt_LtE Lt_GtE LtE_Lt LtE_Gt Gt_GtE Gt_LtE GtE_Gt GtE_Lt"
)
OPERATORS = (
    *(f"ReplaceBinaryOperator_{swap}" for swap in BINARY.split()),
    *(f"ReplaceComparisonOperator_{swap}" for swap in COMPARISON.split()),
    *(f"ReplaceUnaryOperator_Delete_{sign}" for sign in ("USub", "Not", "Invert")),
    "NumberReplacer",
    "AddNot",
    "ReplaceTrueWithFalse",
    "ReplaceFalseWithTrue",
    "ReplaceAndWithOr",
    "ReplaceOrWithAnd",
    "ZeroIterationForLoop",
)

# Module to the tests that answer for it.
MODULES = {
    "estimators": ("test_estimators",),
    "gradient_estimators": ("test_gradient_estimators",),
    "masks": ("test_masks",),
    "critical": ("test_critical", "test_nmr"),
    "map_pixels": ("test_nmr",),
    "nmr": ("test_nmr",),
    "ranking": ("test_critical", "test_nmr"),
    "stats.correlation": ("stats/test_correlation",),
    "stats.resampling": ("stats/test_resampling", "stats/test_correlation", "stats/test_groups"),
    "stats.groups": ("stats/test_groups",),
    "interventions": ("test_interventions",),
    "divergence": ("test_divergence",),
}
PRELOADED = ("flax", "hypothesis", "jax", "jaxtyping", "numpy", "optax", "pytest", "scipy.stats")


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One fault in one module: where it is, how it reads, and the faulty source."""

    name: str
    line: int
    was: str
    now: str
    source: str


def mutants_of(source: str, module: str) -> Iterator[Mutant]:
    """Every mutant that compiles, but those of annotations and of the stars of signatures."""
    tree = get_ast(source)
    for operator_name in OPERATORS:
        operator = get_operator(f"core/{operator_name}")()
        occurrence = 0
        for node in ast_nodes(tree):
            for start, _ in operator.mutation_positions(node):
                mutated = mutate_code(source, operator, occurrence)
                if not _in_signature(node) and _compiles(mutated):
                    was, now = _changed_lines(source, mutated)
                    digest = hashlib.sha256(f"{was}\n{now}".encode()).hexdigest()[:8]
                    name = f"{module}:{operator_name}:{occurrence}:{digest}"
                    yield Mutant(name, start[0], was, now, mutated)
                occurrence += 1


def _compiles(source: str) -> bool:
    try:
        compile(source, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def _in_signature(node) -> bool:
    """Whether it is part of an annotation, which no program reads, or a star between parameters."""
    if node.parent is not None and node.parent.type == "parameters":
        return True
    while (parent := node.parent) is not None:
        if (
            (parent.type == "tfpdef" and node is parent.children[2])
            or (parent.type == "annassign" and node is parent.children[1])
            or (parent.type == "funcdef" and node is parent.annotation)
        ):
            return True
        node = parent
    return False


def _changed_lines(source: str, mutated: str) -> tuple[str, str]:
    lines = difflib.ndiff(source.splitlines(), mutated.splitlines())
    changed = [line for line in lines if line[:1] in "-+"]
    return tuple(
        " / ".join(line[2:].strip() for line in changed if line[0] == sign) for sign in "-+"
    )


class _Instead(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from the given source."""

    def __init__(self, name: str, path: Path, source: str):
        self.name, self.path, self.source = name, path, source

    def find_spec(self, fullname, path, target=None):
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.path, loader=self)

    def exec_module(self, module):
        exec(compile(self.source, str(self.path), "exec"), module.__dict__)


class _Order:
    """The promising tests first; notes how long each took and which one failed."""

    def __init__(self, promise: dict[str, float]):
        self.promise, self.seconds, self.failed = promise, collections.Counter(), None

    def pytest_collection_modifyitems(self, items) -> None:
        items.sort(key=lambda item: self.promise.get(item.nodeid, 0.0))

    def pytest_runtest_logreport(self, report) -> None:
        self.seconds[report.nodeid] += report.duration
        if report.failed and self.failed is None:
            self.failed = report.nodeid


def _run_tests(
    instead: _Instead, tests: Iterable[str], promise: dict[str, float], out: Path
) -> None:
    """In a fork: runs the tests until one fails and writes what happened."""
    import hypothesis
    import pytest

    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    sys.meta_path.insert(0, instead)
    # A failing example is enough: it is neither shrunk nor kept.
    quick = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
    hypothesis.settings.register_profile("mutants", database=None, derandomize=True, phases=quick)
    hypothesis.settings.load_profile("mutants")
    order = _Order(promise)
    options = ("-x", "-q", "-p", "no:cacheprovider", "--tb=no", *tests)
    status = int(pytest.main(list(options), plugins=[order]))
    found = {"status": status, "killer": order.failed or "import", "seconds": order.seconds}
    out.write_text(json.dumps(found))


class Runs:
    """Runs of one module's tests against any source of it, side by side."""

    def __init__(self, module: str, folder: Path):
        self.name, self.path = f"iss_jax.{module}", source_of(module)
        self.files = [f"tests/{name}.py" for name in MODULES[module]]
        self.promise: dict[str, float] = {}
        self.folder, self.running, self.limit_s = folder, {}, 1200.0

    def start(self, source: str, tag: Mutant | None) -> None:
        out = self.folder / f"{time.monotonic_ns()}.json"
        pid = os.fork()
        if not pid:
            try:
                os.setpgid(0, 0)
                _run_tests(_Instead(self.name, self.path, source), self.files, self.promise, out)
            finally:
                os._exit(0)
        self.running[pid] = (tag, out, time.monotonic())

    def wait(self) -> tuple[Mutant | None, dict[str, Any]]:
        """The next run to end, and what it wrote, or that it crashed or took too long."""
        while True:
            for pid, (tag, out, began) in list(self.running.items()):
                late = time.monotonic() - began > self.limit_s
                if late:
                    os.killpg(pid, signal.SIGKILL)
                if os.waitpid(pid, 0 if late else os.WNOHANG)[0]:
                    del self.running[pid]
                    found = {"status": -1, "killer": "too slow" if late else "crash"}
                    if not late and out.exists():
                        found = json.loads(out.read_text())
                    return tag, found | {"took_s": round(time.monotonic() - began, 1)}
            time.sleep(0.02)


def source_of(module: str) -> Path:
    """The module's file, from the root of the repository."""
    return Path("iss_jax", *module.split(".")).with_suffix(".py")


def killed_before(results: Path) -> set[str]:
    """Names of the mutants that an earlier run has killed."""
    lines = results.read_text().splitlines() if results.exists() else []
    return {row["name"] for row in map(json.loads, lines) if row["killed"]}


def run(module: str, results: Path, jobs: int, sample: int | None, folder: Path) -> str:
    """Tries the mutants of a module that no earlier run has killed; a line that says how many."""
    source = source_of(module).read_text()
    mutants = list(mutants_of(source, module))
    total = len(mutants)
    random.Random(0).shuffle(mutants)
    mutants = mutants[:sample]
    before = killed_before(results)
    left = [mutant for mutant in mutants if mutant.name not in before]
    runs = Runs(module, folder)
    runs.start(source, None)
    sound = runs.wait()[1]
    if sound["status"] != 0:
        raise SystemExit(f"{module}: its tests fail without a mutant, at {sound['killer']}")
    runs.limit_s = 60.0 + 4.0 * sound["took_s"]
    kills = collections.Counter()
    survived, done = 0, 0
    while done < len(left):
        started = done + len(runs.running)
        if started < len(left) and len(runs.running) < jobs:
            # The test that is likeliest to kill in a second comes first.
            runs.promise = {t: s / (1.0 + kills[t]) for t, s in sound["seconds"].items()}
            runs.start(left[started].source, left[started])
            continue
        mutant, found = runs.wait()
        done += 1
        killed = found["status"] != 0
        kills[found["killer"]] += killed
        survived += not killed
        row = dataclasses.asdict(mutant) | {"killed": killed, "killer": found["killer"]}
        del row["source"]
        with results.open("a") as file:
            file.write(json.dumps(row | {"took_s": found["took_s"]}) + "\n")
        if not killed:
            print(f"survived: {mutant.name} line {mutant.line}", flush=True)
            print(f"  - {mutant.was}\n  + {mutant.now}", flush=True)
        if sys.stderr.isatty():
            print(f"{module}: {done} of {len(left)}", end="\r", file=sys.stderr, flush=True)
    share = 1.0 - survived / len(mutants)
    tried = f"{len(mutants)} of {total} mutants tried"
    return f"{module}: {tried}, {survived} survived, {100 * share:.1f} % killed"


def main() -> None:
    """Reads the command line and runs each module in turn."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", default=[], help=f"of {', '.join(MODULES)}; all")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at a time")
    parser.add_argument("--sample", type=int, help="mutants of a module, drawn at random; all")
    parser.add_argument("--results", type=Path, default=Path("runs/mutants.jsonl"))
    given = parser.parse_args()
    unknown = sorted(set(given.modules) - set(MODULES))
    if unknown:
        raise SystemExit(f"modules {unknown} given, of {list(MODULES)} wanted")
    given.results.parent.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    for library in PRELOADED:
        importlib.import_module(library)
    with tempfile.TemporaryDirectory() as folder:
        for module in given.modules or MODULES:
            print(run(module, given.results, given.jobs, given.sample, Path(folder)), flush=True)


if __name__ == "__main__":
    main()
