"""YAML files of keys and values, with the line of every key, so that an error can point at it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from leatherens.core.errors import ConfigError

Keys: TypeAlias = "tuple[str, ...]"
"""The way from the top of a file to a value: keys, and positions in lists."""


@dataclass(frozen=True, slots=True)
class YamlFile:
    """What a file says. lines: of every key, from 1."""

    path: Path
    content: Mapping[str, Any]
    lines: Mapping[Keys, int]


def read_yaml(path: Path) -> YamlFile:
    """The keys and values of a file; a `ConfigError` where it cannot be read, is no YAML or repeats a key."""
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the name") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a text file in UTF-8") from None
    try:
        node, content = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:  # the latter of dates that are none
        raise ConfigError(f"{path}: not YAML ({' '.join(str(error).split())})") from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply, or an alias stands within what it names") from None
    if not isinstance(content, Mapping):
        said = "nothing" if content is None else type(content).__name__
        raise ConfigError(f"{path}: expected keys and values, got {said}")
    lines: dict[Keys, int] = {}
    for keys, line in _lines(node, ()):
        if keys in lines:
            first, key = lines[keys], ".".join(keys)
            raise ConfigError(f"{path}, line {line}: key '{key}' stands in line {first} already; remove one")
        lines[keys] = line
    return YamlFile(path, content, lines)


def _lines(node: Any, above: Keys) -> Iterator[tuple[Keys, int]]:
    """Every key below a node of PyYAML, and its line."""
    import yaml

    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.tag != "tag:yaml.org,2002:merge":
                keys = (*above, str(key.value))
                yield keys, key.start_mark.line + 1
                yield from _lines(value, keys)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            keys = (*above, str(number))
            yield keys, item.start_mark.line + 1
            yield from _lines(item, keys)
