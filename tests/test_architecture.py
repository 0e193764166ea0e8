"""The house itself: who imports whom, no circles, no reaching into another room, short files, a first line each."""

import ast
import runpy
import tomllib
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest

pytestmark = pytest.mark.tensorflow_only
ROOT = Path(__file__).parent.parent
PAGE = runpy.run_path(str(ROOT / "docs" / "rooms.py"))
RULES = PAGE["read_rooms"]()
EXCEPTIONS = RULES["exceptions"]
ALLOWED = PAGE["allowed_imports"](RULES["rooms"])
MOST_LINES, MOST_BODY = 300, 60


@cache
def modules():
    """Every module of the package by its dotted name, as `(path, tree)`."""
    found = {}
    for path in sorted((ROOT / "leaky_zoo").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = path, ast.parse(path.read_text(encoding="utf-8"))
    return found


def sources():
    """Every Python file of the package and of the benchmarks."""
    return sorted(path for folder in ("leaky_zoo", "benchmarks") for path in (ROOT / folder).rglob("*.py"))


def room_of(module):
    """The room a module stands in; None for `leaky_zoo` and `leaky_zoo.__main__`, which open the whole house."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and parts[1] != "__main__" else None


@cache
def imports():
    """`{module: [(module of ours, name or None)]}`, function-level imports and those for types included."""
    found = defaultdict(list)
    for module, (_, tree) in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{module}: imports are absolute"
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    if whole in modules():
                        found[module].append((whole, None))
                    elif node.module in modules():
                        found[module].append((node.module, alias.name))
            elif isinstance(node, ast.Import):
                found[module] += [(alias.name, None) for alias in node.names if alias.name in modules()]
    return found


def nothing_but_exceptions(found, kind):
    """What was found and is not excepted is named."""
    assert sorted(set(found) - set(EXCEPTIONS.get(kind, []))) == []


def test_every_room_is_named():
    here = {path.stem for path in (ROOT / "leaky_zoo").iterdir() if path.suffix == ".py" or any(path.glob("*.py"))}
    assert here - {"__init__", "__main__", "__pycache__"} <= set(ALLOWED)


def test_a_room_imports_only_rooms_that_stand_above_it():
    wrong = set()
    for module, targets in imports().items():
        room = room_of(module)
        for target, _ in targets if room else ():
            if room_of(target) != room and room_of(target) not in ALLOWED[room]:
                wrong.add(f"{module} -> {room_of(target)}")
    nothing_but_exceptions(wrong, "imports")


def test_no_module_imports_itself_by_way_of_others():
    within = defaultdict(set)
    for module, targets in imports().items():
        within[module] = {target for target, _ in targets}

    def reached(start):
        seen, todo = set(), list(within[start])
        while todo:
            module = todo.pop()
            if module not in seen:
                seen.add(module)
                todo += within[module]
        return seen

    nothing_but_exceptions((module for module in list(within) if module in reached(module)), "circles")


def test_no_private_name_of_another_room_is_used():
    own = defaultdict(set)
    for module, (_, tree) in modules().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                own[room_of(module)].add(node.name)
            elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
                own[room_of(module)].add(node.id if isinstance(node, ast.Name) else node.attr)
    wrong = {
        f"{module}: {name}"
        for module, targets in imports().items()
        for target, name in targets
        if room_of(target) != room_of(module) and private(name or target.rpartition(".")[2])
    }
    for module, (_, tree) in modules().items():
        room = room_of(module)
        others = set().union(*(names for other, names in own.items() if other != room))
        for node in ast.walk(tree):
            if not isinstance(node, ast.Attribute) or not private(node.attr) or ast.unparse(node.value) == "self":
                continue
            if node.attr in others and node.attr not in own[room]:
                wrong.add(f"{module}: {node.attr}")
    nothing_but_exceptions(wrong, "private_names")


def private(name):
    return name.startswith("_") and not name.startswith("__")


def test_every_module_says_in_its_first_line_what_it_holds():
    for path in sources():
        words = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        first = words.splitlines()[0] if words else ""
        assert len(first) > 10 and first[-1] in ".:)", f"{path.relative_to(ROOT)}: {first!r}"


def test_files_and_functions_are_short():
    long_files, long_functions = [], []
    for path in sources():
        text, name = path.read_text(encoding="utf-8"), path.relative_to(ROOT).as_posix()
        if len(text.splitlines()) > MOST_LINES:
            long_files.append(name)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) is not None else node.body
                if body and node.end_lineno - body[0].lineno + 1 > MOST_BODY:
                    long_functions.append(f"{name}: {node.name}")
    nothing_but_exceptions(long_files, "long_files")
    nothing_but_exceptions(long_functions, "long_functions")


def test_the_wheel_holds_every_room():
    listed = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["packages"]
    packages = {name for name, (path, _) in modules().items() if path.name == "__init__.py"}
    assert set(listed) == packages | {"leaky_zoo.models"} and listed == sorted(listed)


def test_the_table_of_rooms_is_current():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert "<!-- rooms:" in text and PAGE["page"](text) == text, "make docs writes it"
