"""What a template expects of a variable, found from how it uses it, and values that fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

_WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heron")
_DEEPEST = 8  # links between variables that are followed


@dataclass
class Shape:
    """Evidence on one value: keys that are read, items, constants it is compared with.

    A value is a pure function of the shape, the variant and the length of lists in that row, and
    item `n` of a list is its item's value for variant `n`. So a variable that must be an item of
    a list, or equal to one, can be.
    """

    path: str = "value"
    keys: dict[str, Shape] = field(default_factory=dict)
    item: Shape | None = None
    pieces: dict[str, Shape] = field(default_factory=dict)  # of a text, by what it is split at
    constants: list[Any] = field(default_factory=list)
    contains: list[str] = field(default_factory=list)
    shortest: int = 0  # items, from the constants it is indexed with
    number: bool = False
    text: bool = False
    mapping: bool = False
    sliced: bool = False
    listed: bool = False  # an item of a list
    high: bool = False  # a number above others
    index: bool = False  # a number that picks an item
    below: int | None = None  # how many items there are to pick from
    offset: int = 0  # what is subtracted from it before picking
    same_as: Shape | None = None  # often equal to another value
    member_of: Shape | None = None  # one of the items of a list
    literal: tuple[Any, ...] | None = None  # items, or keys, of what stands in the template

    def key(self, name: str) -> Shape:
        """The value under a key."""
        if name not in self.keys:
            self.keys[name] = Shape(f"{self.path} {name}", listed=self.listed)
        return self.keys[name]

    def items(self) -> Shape:
        """The items of a list."""
        if self.item is None:
            self.item = Shape(self.path, listed=True)
        return self.item

    def piece(self, separator: str) -> Shape:
        """The pieces of a text that is split."""
        self.text = True
        return self.pieces.setdefault(separator, Shape(self.path, text=True, listed=True))

    def value(self, variant: int, length: int, depth: int = 0) -> Any:
        """A value that fits, for the `variant`-th row, with lists of this length."""
        if depth < _DEEPEST and self.member_of is not None:
            items = self.member_of.literal or self.member_of.value(variant, length, depth + 1)
            if isinstance(items, (list, tuple)) and items:
                return items[variant % len(items)]
        if depth < _DEEPEST and self.same_as is not None and variant % 3 != 2:
            return self.same_as.value(variant % length, length, depth + 1)
        if self.keys or (self.mapping and not self.text):
            item = self.item or Shape(self.path)
            keys = self.keys or dict.fromkeys(_WORDS[:length], item)
            return {name: shape.value(variant, length, depth) for name, shape in keys.items()}
        if self.item is not None and not self._is_text():
            count = max(length, self.shortest)
            return [self.item.value(n, length, depth) for n in range(count)]
        return self._scalar(variant, length, depth)

    def _is_text(self) -> bool:
        """`x[0] | upper` and `x[1:]` together are said of texts."""
        return self.text or (self.sliced and self.item is not None and self.item.text)

    def _scalar(self, variant: int, length: int, depth: int) -> Any:
        constants = list(dict.fromkeys(self.constants))
        turn = variant % (len(constants) + 1)
        if turn < len(constants):
            return constants[turn]
        if self.index or self.number:
            count = (self.below or length) if self.index else 2
            return self.offset + variant // (len(constants) + 1) % count + 10 * self.high
        if constants and not isinstance(constants[0], str):
            return _another(constants, variant)
        said = [
            separator.join(str(piece.value(variant + n, length, depth)) for n in range(length))
            for separator, piece in self.pieces.items()
        ]
        if not said:
            word = _WORDS[variant % len(_WORDS)]
            said = [f"{self.path} {word}{' and more' * (variant % 4)} {variant % 97 + 1}"]
        marks = "".join(f"{mark}{word}" for mark, word in zip(self.contains, _WORDS, strict=False))
        return next(iter(self.pieces), " ").join(said) + marks


def _another(constants: list[Any], variant: int) -> Any:
    """A value of the constants' type that is none of them."""
    numbers = [c for c in constants if isinstance(c, (int, float)) and not isinstance(c, bool)]
    if numbers:
        return int(max(numbers)) + 1 + variant % 3
    return constants[variant % len(constants)]
