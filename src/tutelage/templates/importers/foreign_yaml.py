"""YAML of other projects as plain data, tags kept and never acted on.

These projects read and write with PyYAML, so what a file says is what PyYAML reads (YAML 1.1).
A tagged value `!Name v` becomes `{"!tag": "!Name", "value": v}`, a mapping whose keys are not all
text `{"!tag": "!!map", "value": [[key, v], …]}`; dates stay text. Nothing is
constructed but plain data; `dump` writes the same data back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

TAG, VALUE, PAIRS = "!tag", "value", "!!map"
MAX_VALUES = 1_000_000
_STANDARD = "tag:yaml.org,2002:"
_BASE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_BASE):  # type: ignore[misc]
    """Plain data, and tags of any name."""


class _Dumper(yaml.SafeDumper):
    """Writes tagged values back."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - the base class names it
        """Write every value out."""
        return True


def parse(_common: Mapping[str, Any], text: str, _limit: int) -> Any:
    """Plain data of one YAML document, for the child process.

    Raises:
        ValueError: not valid YAML, or over 1,000,000 values once aliases are written out.
    """
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _count(node, {})
        data = loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ValueError(f"line {line} is not valid YAML ({error.problem})") from error
    except yaml.YAMLError as error:
        raise ValueError(f"is not valid YAML ({error})") from error
    finally:
        loader.dispose()
    return _plain(data)


def dump(data: Any) -> str:
    """YAML text of plain data, tagged values written with their tags."""
    return str(yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=10_000))


def _count(node: yaml.Node, seen: dict[int, int]) -> int:
    """How many values a node stands for, every alias counted in full."""
    if id(node) in seen:
        if not seen[id(node)]:
            raise ValueError("an alias stands inside what it names")
        return seen[id(node)]
    seen[id(node)] = 0
    total = 1
    if isinstance(node, yaml.SequenceNode):
        total += sum(_count(child, seen) for child in node.value)
    elif isinstance(node, yaml.MappingNode):
        total += sum(_count(k, seen) + _count(v, seen) for k, v in node.value)
    if total > MAX_VALUES:
        raise ValueError(f"holds over {MAX_VALUES} values once aliases are written out")
    seen[id(node)] = total
    return total


def _tagged(loader: Any, suffix: str, node: yaml.Node) -> dict[str, Any]:
    if isinstance(node, yaml.MappingNode):
        value: Any = loader.construct_mapping(node, deep=True)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        value = loader.construct_scalar(node)
    return {TAG: f"!{suffix}", VALUE: value}


def _represent(dumper: yaml.SafeDumper, data: dict[Any, Any]) -> yaml.Node:
    if set(data) == {TAG, VALUE} and data[TAG] == PAIRS:
        return dumper.represent_mapping(f"{_STANDARD}map", data[VALUE])
    if set(data) == {TAG, VALUE}:
        node = dumper.represent_data(data[VALUE])
        node.tag = data[TAG]
        return node
    return dumper.represent_mapping(f"{_STANDARD}map", data.items())


def _plain(value: Any) -> Any:
    """Plain data for JSON; what is neither text, number, list nor mapping is refused."""
    if isinstance(value, dict):
        pairs = [[_plain(key), _plain(item)] for key, item in value.items()]
        if all(isinstance(key, str) for key, _ in pairs):
            return dict(pairs)
        return {TAG: PAIRS, VALUE: pairs}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    raise ValueError(f"holds a {type(value).__name__}, which is not plain data")


_Loader.add_multi_constructor("!", _tagged)
_Loader.add_constructor(f"{_STANDARD}timestamp", lambda loader, node: loader.construct_scalar(node))
_Dumper.add_representer(dict, _represent)
