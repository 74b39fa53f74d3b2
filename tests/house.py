"""Rules of the tree, read off its syntax: who imports whom, and by which names."""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

PACKAGES = ("iss_jax", "experiments", "configs")


class Import(NamedTuple):
    """An import of one name.

    Attributes:
        module: what it is imported from, or itself.
        name: of `from module import name`; empty for `import module`.
        known_as: under which it is used.
        late: whether it stands in a function.
        line: number of the line.
    """

    module: str
    name: str
    known_as: str
    late: bool
    line: int


class Module(NamedTuple):
    """A parsed file."""

    path: Path
    tree: ast.Module
    imports: tuple[Import, ...]


def read_tree(root: Path) -> dict[str, Module]:
    """Dotted name -> module, of every Python file of the packages under `root`."""
    found = {}
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            tree = ast.parse(path.read_text(), str(path))
            found[name] = Module(path.relative_to(root), tree, tuple(_imports(tree)))
    return found


def _imports(tree: ast.Module) -> Iterator[Import]:
    def walk(node: ast.AST, late: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            inside = late or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            if isinstance(child, ast.Import):
                for alias in child.names:
                    known = alias.asname or alias.name
                    yield Import(alias.name, "", known, late, child.lineno)
            elif isinstance(child, ast.ImportFrom):
                if child.level:
                    raise ValueError(f"line {child.lineno}: a relative import")
                for alias in child.names:
                    known = alias.asname or alias.name
                    yield Import(child.module or "", alias.name, known, late, child.lineno)
            else:
                yield from walk(child, inside)

    return walk(tree, False)


def imported(modules: Mapping[str, Module], one: Import) -> str | None:
    """The module of the tree that an import reads: a submodule where its name is one."""
    whole = f"{one.module}.{one.name}" if one.name else one.module
    for name in (whole, one.module):
        if name in modules:
            return name
    return None


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def private_names(modules: Mapping[str, Module]) -> list[str]:
    """Where a module uses a private name of another, of this tree or of a library."""
    found = []
    for module in modules.values():
        uses = [
            (one.line, f"{one.module} {one.name}".rstrip())
            for one in module.imports
            if any(map(_is_private, [*one.module.split("."), one.name]))
        ]
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Attribute) and _is_private(node.attr):
                owner = _module_named(modules, module, ast.unparse(node.value))
                uses += [] if owner is None else [(node.lineno, f"{owner}.{node.attr}")]
        found += [f"{module.path}:{line}: {use}" for line, use in sorted(uses)]
    return found


def _module_named(modules: Mapping[str, Module], module: Module, text: str) -> str | None:
    """The module that an expression such as `iss_jax.masks` stands for; None for other things."""
    for one in module.imports:
        if text == one.known_as or text.startswith(f"{one.known_as}."):
            whole = f"{one.module}.{one.name}" if one.name else one.module
            whole += text.removeprefix(one.known_as)
            if whole in modules or (not one.name and text == one.known_as):
                return whole
    return None


def circles(modules: Mapping[str, Module], *, late: bool = False) -> list[list[str]]:
    """Sets of modules that import one another, directly or not.

    Args:
        modules: the tree.
        late: whether imports in functions count; those under `TYPE_CHECKING` always do.
    """
    reads = {
        name: {
            found
            for one in module.imports
            if (late or not one.late) and (found := imported(modules, one)) not in (None, name)
        }
        for name, module in modules.items()
    }

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            for other in reads[waiting.pop()] - seen:
                seen.add(other)
                waiting.append(other)
        return seen

    ahead = {name: reached(name) for name in modules}
    sets = {frozenset(other for other in ahead[name] if name in ahead[other]) for name in modules}
    return sorted(sorted(one) for one in sets if one)


def _functions(module: Module) -> set[str]:
    return {node.name for node in module.tree.body if isinstance(node, ast.FunctionDef)}


def commands(modules: Mapping[str, Module]) -> dict[str, Module]:
    """Name -> command: the files directly in `experiments/`."""
    return {
        name.partition(".")[2]: module
        for name, module in modules.items()
        if module.path.parent == Path("experiments") and module.path.name != "__init__.py"
    }


def unlike_commands(modules: Mapping[str, Module]) -> list[str]:
    """Files of `experiments/` without `main` or a config of their name, configs without command."""
    found = []
    own = commands(modules)
    for name, module in own.items():
        if "main" not in _functions(module):
            found.append(f"{module.path}: no function main")
        config = modules.get(f"configs.{name}")
        if config is None or "get_config" not in _functions(config):
            found.append(f"{module.path}: no configs/{name}.py with get_config")
    configs = [one.path for one in modules.values() if one.path.parent == Path("configs")]
    lonely = [path for path in configs if path.stem not in {*own, "__init__"}]
    return found + [f"{path}: no experiments/{path.name}" for path in lonely]


def imports_upwards(modules: Mapping[str, Module]) -> list[str]:
    """Imports of `experiments`, `configs` or `tests` in `iss_jax`, and of a command in a folder."""
    found = []
    own = {f"experiments.{name}" for name in commands(modules)}
    for module in modules.values():
        package, *folders = module.path.parent.parts
        for one in module.imports:
            top = one.module.partition(".")[0]
            if package == "iss_jax" and top in ("experiments", "configs", "tests"):
                found.append(f"{module.path}:{one.line}: imports {one.module}")
            if package == "experiments" and folders and imported(modules, one) in own:
                found.append(f"{module.path}:{one.line}: imports the command {one.module}")
    return found
