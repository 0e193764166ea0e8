"""A wheel of the project, and environments that hold it and what it requires, nothing else: no network is needed.

What is required is linked from the environment that runs this; it has the versions of requirements.lock.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from benchmarks.common import ROOT

BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE", "leaky_zoo", "models")


def requirements(*extras: str) -> list[str]:
    """What the base install requires, and these extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return project["dependencies"] + [each for extra in extras for each in project["optional-dependencies"][extra]]


def closure(required: Iterable[str]) -> list[Distribution]:
    """The distributions that these requirements need, from what is installed here.

    Raises:
        PackageNotFoundError: one of them is not.
    """
    found: dict[str, set[str]] = {}
    todo = [(Requirement(text), "") for text in required]
    while todo:
        requirement, extra = todo.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        package = distribution(requirement.name)
        new = {"", *requirement.extras} - found.setdefault(package.name, set())
        found[package.name] |= new
        todo += [(Requirement(text), each) for text in package.requires or () for each in new]
    return [distribution(name) for name in found]


def make_environment(folder: Path, packages: Iterable[Distribution]) -> Path:
    """An environment that has these distributions by links, and no others; the path of its Python."""
    venv.create(folder, with_pip=False)
    site = site_of(folder)
    for package in packages:
        here = Path(str(package.locate_file("")))
        for name in {Path(file).parts[0] for file in package.files or () if ".." not in Path(file).parts}:
            if not (site / name).exists():
                (site / name).symlink_to(here / name)
    return folder / "bin" / "python"


def site_of(folder: Path) -> Path:
    """Where an environment's packages are."""
    return Path(sysconfig.get_path("purelib", "venv", {"base": str(folder), "platbase": str(folder)}))


def build_wheel(folder: Path) -> Path:
    """The wheel of this source, built in a copy of what it is made of."""
    source = folder / "source"
    for name in BUILT_FROM:
        if (ROOT / name).is_dir():
            shutil.copytree(
                ROOT / name, source / name, copy_function=_link, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            source.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, source / name)
    _pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source)
    (wheel,) = folder.glob("*.whl")
    shutil.rmtree(source)
    return wheel


def install(wheel: Path, python: Path) -> None:
    """Put a wheel into an environment, with its program, without asking any index."""
    _pip("--python", python, "install", "--no-deps", "--no-index", wheel)


def bytes_of(packages: Iterable[Distribution]) -> int:
    """How much room distributions take, installed."""
    paths = (Path(str(package.locate_file(file))) for package in packages for file in package.files or ())
    return sum(path.stat().st_size for path in paths if path.is_file())


def _link(source: str, target: str) -> str:
    """Another name for a file where that can be had, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy(source, target)
    return target


def _pip(*words: object) -> None:
    command = [sys.executable, "-m", "pip", *map(str, words), "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"pip {words[0]} failed: {done.stderr[-2000:]}")
