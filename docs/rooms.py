"""Write the table of rooms in CONTRIBUTING.md from `rooms.toml`: python docs/rooms.py."""

import re
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent / "CONTRIBUTING.md"
TABLE = re.compile(r"(<!-- rooms:[^\n]*-->\n).*?(<!-- end -->)", re.DOTALL)


def read_rooms() -> dict:
    """What `rooms.toml` says."""
    return tomllib.loads((HERE / "rooms.toml").read_text(encoding="utf-8"))


def allowed_imports(rooms: dict) -> dict[str, list[str]]:
    """For each room the rooms that it may import: those above it, or those that it names."""
    names = list(rooms)
    return {name: rooms[name].get("imports", names[:place]) for place, name in enumerate(names)}


def table(rooms: dict, root: Path) -> str:
    """The rooms that are there as a Markdown table."""
    lines = ["| room | holds | may import |", "|---|---|---|"]
    allowed = allowed_imports(rooms)
    for place, (name, room) in enumerate(rooms.items()):
        folder = (root / "leaky_zoo" / name).is_dir()
        if not folder and not (root / "leaky_zoo" / f"{name}.py").is_file():
            continue
        above = "what stands above" if place else "nothing of ours"
        may = ", ".join(allowed[name]) if "imports" in room else above
        lines.append(f"| `{name}{'/' if folder else '.py'}` | {room['holds']} | {may} |")
    return "\n".join(lines)


def page(text: str) -> str:
    """The text of CONTRIBUTING.md with the table as it should be."""
    found = table(read_rooms()["rooms"], HERE.parent)
    return TABLE.sub(lambda match: f"{match[1]}{found}\n{match[2]}", text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
