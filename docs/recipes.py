"""Write the tables of fields in docs/recipes.md from the classes that read recipes: python docs/recipes.py."""

import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from leaky_zoo.layers.schedules import SCHEDULES
from leaky_zoo.networks.config import NetworkConfig
from leaky_zoo.networks.families import all_families
from leaky_zoo.sweeps import Sweep
from leaky_zoo.zoo.data_part import DataPart
from leaky_zoo.zoo.network_part import NetworkPart
from leaky_zoo.zoo.optimizer_part import OptimizerPart
from leaky_zoo.zoo.publish_part import PublishPart
from leaky_zoo.zoo.recipe import LBFGSPart, ObjectivePart, Recipe

PAGE = Path(__file__).with_suffix(".md")
PLACE = re.compile(r"(<!-- fields of (\w+):[^\n]*-->\n).*?(<!-- end -->)", re.DOTALL)
PARTS: dict[str, type[BaseModel]] = {
    "recipe": Recipe,
    "data": DataPart,
    "network": NetworkPart,
    "objective": ObjectivePart,
    "optimizer": OptimizerPart,
    "lbfgs": LBFGSPart,
    "publish": PublishPart,
    "sweep": Sweep,
}
BOUNDS = {
    "minimum": "at least {}",
    "ge": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "le": "at most {}",
    "exclusiveMaximum": "below {}",
}
KINDS = {"integer": "whole number", "number": "number", "boolean": "true, false", "null": "none", "object": "mapping"}


def described(cls: type, section: str) -> dict[str, str]:
    """What the docstrings of a class and its bases say of each name in a section, `Attributes` or `Args`."""
    found: dict[str, str] = {}
    for each in reversed(cls.__mro__):
        text = inspect.cleandoc(each.__dict__.get("__doc__") or "")
        block = re.search(rf"^{section}:\n((?:[ ]{{4}}.*\n?|\n)+)", text, re.MULTILINE)
        entries = re.split(r"\n(?=\S)", textwrap.dedent(block[1]).strip()) if block else []
        for entry in entries:
            names, _, words = entry.partition(": ")
            text = " ".join(words.split())
            if not re.fullmatch(r"(see `\w+`\. ?)?(Default [^:]*\.)?", text):  # else the base's words hold
                found |= dict.fromkeys(re.split(r",\s*", names.strip("*")), text)
    return found


def value_words(schema: dict[str, Any]) -> str:
    """What a field takes, in words, from its JSON schema.

    Example:
    >>> value_words({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "full", "type": "string"}]})
    'whole number, at least 1; or `full`'
    """
    if "anyOf" in schema:
        return "; or ".join(value_words(each) for each in schema["anyOf"])
    if "$ref" in schema:
        return "mapping, below"
    if "enum" in schema:
        return ", ".join(f"`{each}`" for each in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    kind = schema.get("type", "any")
    if kind == "array":
        inner = value_words(schema.get("items", {}))
        return f"list of {inner}" if inner != "any" else "list"
    bounds = [words.format(f"{schema[key]:,}") for key, words in BOUNDS.items() if key in schema]
    return ", ".join([KINDS.get(kind, "text" if kind == "string" else kind), *bounds])


def default_words(field: Any) -> str:
    """The default of a field."""
    return "**needed**" if field.is_required() else default_of(field.default)


def default_of(value: Any) -> str:
    """A default, as YAML has it."""
    if isinstance(value, BaseModel):
        return "its defaults"
    if value is None:
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def cell(text: str) -> str:
    """A text as a cell of a table, without a default that its own column says; `|` would end the cell."""
    plain = re.sub(r"\s*Default (None: none|[^:;()]*?)\.(?=\s|$)", "", text)
    return plain.replace("Default None: ", "Left out: ").replace("None: ", "none: ").replace("|", "\\|").strip()


def table(fields: dict[str, Any], schema: dict[str, Any], words: dict[str, str]) -> str:
    """A Markdown table of fields: name, value, default, meaning."""
    lines = ["| field | takes | default | meaning |", "|---|---|---|---|"]
    for name, field in fields.items():
        written = field.alias or name  # `from` is a word of Python's
        takes = value_words(schema["properties"][written])
        lines.append(f"| `{written}` | {takes} | {default_words(field)} | {cell(words.get(written) or words[name])} |")
    return "\n".join(lines)


def part_table(name: str) -> str:
    """The fields of one part of a recipe."""
    cls = PARTS[name]
    words = described(cls, "Attributes")
    if cls is Recipe:
        words |= {key: f"[below](#{key})" for key in PARTS if key in Recipe.model_fields and key != "lbfgs"}
        words["lbfgs"] += " [Its fields](#lbfgs)."
    if cls is NetworkPart:
        words |= network_words()
    return table(cls.model_fields, cls.model_json_schema(), words)


def shipped_families() -> list[tuple[str, Any]]:
    """Our own families by name; a user's, known once its module is imported, is not ours to describe."""
    return sorted((name, cls) for name, cls in all_families().items() if cls.__module__.startswith("leaky_zoo."))


def network_words() -> dict[str, str]:
    """What a recipe's `network` leaves to `NetworkConfig`, with the defaults of each family."""
    words = described(NetworkConfig, "Attributes")
    found = {key: words[key] for key in ("effective_depth", "use_bias", "head_dropout")}
    for key in ("width", "depth"):
        own = {name: family.config_class.model_fields[key].default for name, family in shipped_families()}
        said = ", ".join(f"{value} for `{name}`" for name, value in own.items())
        found[key] = f"{words[key].partition(' Default')[0].rstrip('.')}. Left out: {said}."
    return found


def families_table() -> str:
    """The fields that each family adds to a recipe's `network`."""
    lines = ["| family | field | takes | default | meaning |", "|---|---|---|---|---|"]
    for name, family in shipped_families():
        own = family.config_class.family_fields()
        words, schema = described(family.config_class, "Attributes"), own.model_json_schema()
        for key, field in own.model_fields.items():
            takes = value_words(schema["properties"][key])
            lines.append(f"| `{name}` | `{key}` | {takes} | {default_words(field)} | {cell(words[key]) or '-'} |")
    return "\n".join(lines)


def schedules_table() -> str:
    """Every schedule of the zoo, and its arguments with their defaults."""
    lines = ["| schedule | argument | default | meaning |", "|---|---|---|---|"]
    for name, cls in sorted(SCHEDULES.items()):
        if not cls.__module__.startswith("leaky_zoo."):
            continue  # one of a user's own
        about = " ".join(inspect.cleandoc(cls.__doc__ or "").partition("\n\n")[0].split())
        lines.append(f"| **`{name}`** | | | {cell(about)} |")
        words = described(cls, "Args")
        for key, given in inspect.signature(cls).parameters.items():
            default = "**needed**" if given.default is given.empty else default_of(given.default)
            lines.append(f"| | `{key}` | {default} | {cell(words[key])} |")
    return "\n".join(lines)


def page(text: str) -> str:
    """The text of docs/recipes.md with its tables as they should be."""

    def written(match: re.Match[str]) -> str:
        makers = {"families": families_table, "schedules": schedules_table}
        body = makers[match[2]]() if match[2] in makers else part_table(match[2])
        return f"{match[1]}{body}\n{match[3]}"

    return PLACE.sub(written, text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
