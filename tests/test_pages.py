"""Every block of README.md and of the short pages: Python as it stands, and each command; links lead somewhere."""

import re
import runpy
import shlex
from pathlib import Path

import pytest
from mdit_py_plugins.anchors.index import slugify

from leaky_zoo import cli
from leaky_zoo.zoo import Recipe

pytestmark = pytest.mark.tensorflow_only
ROOT = Path(__file__).parent.parent
PAGES = ("README.md", "docs/finetune.md", "docs/recipes.md")
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
SAID = re.compile(r"^print\(.*\)  # (?P<words>.+)$", re.MULTILINE)
# What makes an environment, or the tests themselves; these were run by hand in a fresh clone.
ELSEWHERE = ("make ", "source ")
DATA = ("examples", "models")


def blocks(page):
    return BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))


def words_of(command):
    """A command without the comment that explains it."""
    return shlex.split(command, comments=True)


@pytest.fixture
def room(tmp_path, monkeypatch):
    """A folder like the repository's top, in which things may be written."""
    for name in DATA:
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "build").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
def test_every_block_runs_and_prints_what_it_says(page, room, monkeypatch, capsys):
    names: dict = {"__name__": "__main__"}
    ran = 0
    for language, text in blocks(page):
        if language == "python":
            capsys.readouterr()
            exec(compile(text, page, "exec"), names)
            printed = capsys.readouterr().out.splitlines()
            said = [match["words"] for match in SAID.finditer(text)]
            assert printed == said and len(said) == text.count("print(")
            ran += 1
        elif language == "sh":
            for line in text.splitlines():
                if words_of(line) and not line.startswith(ELSEWHERE):
                    run(words_of(line), monkeypatch)
                    ran += 1
    assert ran >= 3


def run(words, monkeypatch):
    """A command of ours in this process; it must end well."""
    assert words[0] == "leaky-zoo", words
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert not stop.value.code, words


def test_recipes_of_the_page_are_recipes():
    import yaml

    found = [Recipe.from_dict(yaml.safe_load(text)) for kind, text in blocks("docs/recipes.md") if kind == "yaml"]
    kept = Recipe.read(ROOT / "examples" / "my_recipe.yaml").model_dump()
    kept["data"]["name"] = Path(kept["data"]["name"]).name  # found beside the recipe
    assert found and found[0].model_dump() == kept


def test_the_tables_of_fields_are_current():
    text = (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8")
    writer = runpy.run_path(str(ROOT / "docs" / "recipes.py"))
    assert len(writer["PLACE"].findall(text)) == len(writer["PARTS"]) + 2
    assert writer["page"](text) == text, "make docs writes it"
    emptied = writer["PLACE"].sub(lambda match: f"{match[1]}{match[3]}", text)
    assert writer["page"](emptied) == text


def test_links_lead_somewhere():
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").rglob("*.md")]
    anchors = {
        page: {slugify(line.lstrip("# ")) for line in page.read_text(encoding="utf-8").splitlines() if line[:1] == "#"}
        for page in pages
    }
    for page in pages:
        for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
            if re.match(r"\w+:", target):
                continue
            path, _, anchor = target.partition("#")
            there = (page.parent / path).resolve() if path else page
            assert there.exists(), f"{page.name}: {target}"
            assert not anchor or anchor in anchors.get(there, {anchor}), f"{page.name}: {target}"
