"""YAML without what a recipe never needs and an attacker likes: tags, aliases, repeated keys, deep nesting."""

from typing import Any

import yaml

MAX_LEVELS = 32


class PlainLoader(yaml.SafeLoader):
    """A `yaml.SafeLoader` for plain mappings, lists, texts and numbers."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._level = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _refusal("aliases (*name) are not accepted", event)
        if getattr(event, "tag", None) not in (None, "!"):
            raise _refusal("tags (!name) are not accepted", event)
        if self._level >= MAX_LEVELS:
            raise _refusal(f"more than {MAX_LEVELS} levels of nesting", event)
        self._level += 1
        node = super().compose_node(parent, index)
        self._level -= 1
        return node

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set()
        for key in (key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key in seen:
                raise _refusal(f"the key {key!r} is given twice", node)
            seen.add(key)
        return super().construct_mapping(node, deep)


def _refusal(words: str, item: Any) -> yaml.YAMLError:
    return yaml.MarkedYAMLError(problem=words, problem_mark=item.start_mark)
