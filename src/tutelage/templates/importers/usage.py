"""How a template uses its variables: a walk over the Jinja tree that collects `Shape`s."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jinja2 import nodes

from tutelage.templates.importers.expressions import (
    ARITHMETIC,
    GLOBAL,
    ITEM_FILTERS,
    LIST_METHODS,
    MAPPING_METHODS,
    NUMBER_FILTERS,
    ORDER,
    SAME_FILTERS,
    TEXT_FILTERS,
    TEXT_METHODS,
    constants_of,
    counted_of,
    literal_of,
)
from tutelage.templates.importers.shape import Shape


class Usage:
    """Shapes of the variables that a text takes from outside.

    `choices` are the answer choices; `indexed` are the variables that pick one of them, and what is
    subtracted from each before.
    """

    def __init__(self, choices: Shape | None = None) -> None:
        self.variables: dict[str, Shape] = {}
        self.indexed: dict[str, int] = {}
        self.choices = choices or Shape()
        self._scopes: list[dict[str, Shape]] = [{}]

    def join_choices(self, source: nodes.Template) -> None:
        """Walk the text that gives the choices, which often joins the items of a list."""
        self.walk(source)
        for joined in source.find_all(nodes.Filter):
            if joined.name == "join" and joined.node is not None:
                items = self.shape(joined.node)
                if items is not None:
                    self.choices = items

    def walk(self, node: nodes.Node) -> None:
        """Collect the evidence of a template, a statement or an expression."""
        if isinstance(node, nodes.Expr):
            self.shape(node)
        elif isinstance(node, nodes.For):
            self._loop(node)
        elif isinstance(node, nodes.Assign):
            shape = self.shape(node.node)
            if isinstance(node.target, nodes.Name):
                self._scopes[-1][node.target.name] = shape or Shape()
        elif isinstance(node, nodes.Macro):
            self._scopes.append({a.name: Shape() for a in node.args})
            self._all(node.body)
            self._scopes.pop()
            self._scopes[-1][node.name] = Shape()
        else:
            self._all(node.iter_child_nodes())

    def shape(self, node: nodes.Node) -> Shape | None:
        """Evidence of one expression; its own shape where it is a path into a variable."""
        if isinstance(node, nodes.Name):
            return self._name(node.name)
        if isinstance(node, nodes.Getattr):
            base = self.shape(node.node)
            return base.key(node.attr) if base else None
        if isinstance(node, nodes.Getitem):
            return self._item(node)
        if isinstance(node, nodes.Filter):
            return self._filter(node)
        if isinstance(node, nodes.Call):
            return self._call(node)
        if isinstance(node, nodes.Compare):
            self._compare(node)
        elif isinstance(node, nodes.CondExpr):
            self.shape(node.test)
            other = self.shape(node.expr2) if node.expr2 else None
            return self.shape(node.expr1) or other
        elif isinstance(node, ARITHMETIC):
            self._arithmetic(node)
        else:
            self._all(node.iter_child_nodes())
            return literal_of(node)
        return None

    def _all(self, children: Iterable[nodes.Node]) -> None:
        for child in children:
            self.walk(child)

    def _name(self, name: str) -> Shape | None:
        for scope in reversed(self._scopes):
            if name in scope:
                return scope[name]
        if name == "answer_choices":
            return self.choices
        return None if name in GLOBAL else self.variables.setdefault(name, Shape(name))

    def _item(self, node: nodes.Getitem) -> Shape | None:
        base, index = self.shape(node.node), node.arg
        if isinstance(index, nodes.Const) and isinstance(index.value, str):
            return base.key(index.value) if base else None
        if isinstance(index, nodes.Slice):
            self._slice(base, index)
            return base
        if base is not None and isinstance(index, nodes.Const) and isinstance(index.value, int):
            base.shortest = max(base.shortest, index.value + 1)
        self.shape(index)
        counted, offset = counted_of(index)
        picked = self.shape(counted)
        if picked is not None:
            self._pick(picked, offset, base)
        return base.items() if base else None

    def _slice(self, base: Shape | None, index: nodes.Slice) -> None:
        if base is not None and base.literal is None:
            base.sliced = True
        for bound, high in ((index.start, False), (index.stop, True)):
            shape = self.shape(bound) if bound is not None else None
            if shape is not None:
                shape.number = True
                shape.high = shape.high or high

    def _pick(self, picked: Shape, offset: int, base: Shape | None) -> None:
        """`picked`, less `offset`, selects an item of `base`."""
        if base is not None and base.literal is not None and base.mapping:
            picked.constants += base.literal
            return
        picked.index, picked.offset = True, offset
        if base is not None and base.literal is not None:
            picked.below = len(base.literal)
        if base is self.choices:
            known = self.variables.items()
            self.indexed |= {name: offset for name, shape in known if shape is picked}

    def _filter(self, node: nodes.Filter) -> Shape | None:
        base = self.shape(node.node) if node.node else None
        self._all([*node.args, *(word.value for word in node.kwargs)])
        if base is None:
            return None
        if node.name in NUMBER_FILTERS:
            base.number = True
            return None
        if node.name in TEXT_FILTERS:
            base.text = True
        elif node.name == "replace":
            base.contains += [c for c in constants_of(node.args[:1]) if c not in base.contains]
        elif node.name in ITEM_FILTERS:
            return base.items()
        elif node.name in SAME_FILTERS:
            base.items()
            named = constants_of(node.args)
            if node.name in ("selectattr", "rejectattr") and named:
                base.items().key(str(named[0])).constants += named[2:]
            self._mapped(base, node)
        elif node.name == "join":
            base.items()
            return None
        elif node.name == "map":
            return Shape(item=self._mapped(base, node))
        return base if node.name in SAME_FILTERS | TEXT_FILTERS | {"default", "replace"} else None

    def _mapped(self, base: Shape, node: nodes.Filter) -> Shape:
        item = base.items()
        for word in node.kwargs:
            if word.key == "attribute" and isinstance(word.value, nodes.Const):
                for name in str(word.value.value).split("."):
                    item = item.items() if name.isdigit() else item.key(name)
        return item

    def _call(self, node: nodes.Call) -> Shape | None:
        arguments = [*node.args, *(word.value for word in node.kwargs)]
        if not isinstance(node.node, nodes.Getattr):
            name = getattr(node.node, "name", "")
            for shape in map(self.shape, arguments):
                if shape is not None and name == "range":
                    shape.number = True
                elif shape is not None and name == "zip":
                    shape.items()
            return None
        method, base = node.node.attr, self.shape(node.node.node)
        if method == "index":
            self._member(base, node)
            return None
        self._all(arguments)
        if method == "join" and arguments and (joined := self.shape(arguments[0])):
            joined.items()
        return self._method(base, method, constants_of(arguments)) if base else None

    def _method(self, base: Shape, method: str, constants: list[Any]) -> Shape | None:
        if method in ("split", "rsplit", "splitlines"):
            if method == "splitlines":
                constants = ["\n"]
            separators = [c for c in constants if isinstance(c, str)] or [" "]
            return Shape(item=base.piece(separators[0]))
        if method in TEXT_METHODS:
            base.text = True
            if method == "replace":
                base.contains += [c for c in constants[:1] if c not in base.contains]
            return base
        if method in LIST_METHODS:
            return base.items()
        if method in MAPPING_METHODS:
            base.mapping = True
            if method == "get" and constants:
                return base.key(str(constants[0]))
            return Shape(item=base.items())
        return None

    def _member(self, base: Shape | None, node: nodes.Call) -> None:
        """`base.index(value)`: the value is one of the items."""
        assert isinstance(node.node, nodes.Getattr)
        value = self.shape(node.args[0]) if node.args else None
        if base is None:
            return
        constants = constants_of(node.args)
        if base.text or base.sliced:
            base.text = True
            base.contains += [c for c in constants if c not in base.contains]
            return
        if base.literal is None:
            base.items().constants += constants
        if value is not None:
            value.member_of = base

    def _compare(self, node: nodes.Compare) -> None:
        left = node.expr
        for operand in node.ops:
            right = operand.expr
            for one, other in ((left, right), (right, left)):
                shape = self.shape(one)
                if shape is None:
                    continue
                if isinstance(other, (nodes.List, nodes.Tuple)):
                    shape.constants += constants_of(other.items)
                constants = constants_of([other])
                shape.constants += constants
                if operand.op in ORDER:
                    shape.number = True
                    shape.constants += [c + d for c in constants for d in (-1, 1)]
            self._relate(operand.op, self.shape(left), self.shape(right))

    def _relate(self, operator: str, left: Shape | None, right: Shape | None) -> None:
        """Two variables are compared."""
        if left is None or right is None or left is right:
            return
        if operator in ("in", "notin"):
            if right.item is not None or right.literal is not None:
                left.member_of = right
            right.constants += left.constants
        elif operator in ("eq", "ne"):
            follower, leader = (right, left) if left.listed else (left, right)
            if leader.same_as is None and follower.literal is None:
                follower.same_as = leader

    def _arithmetic(self, node: nodes.BinExpr) -> None:
        sides = (node.left, node.right)
        for one, other in (sides, sides[::-1]):
            shape = self.shape(one)
            text = any(isinstance(c, str) for c in constants_of([other]))
            numeric = not isinstance(node, nodes.Add) or any(
                isinstance(c, (int, float)) for c in constants_of([other])
            )
            if shape is not None and numeric and not text:
                shape.number = True

    def _loop(self, node: nodes.For) -> None:
        scope: dict[str, Shape] = {}
        base = self.shape(node.iter)
        if isinstance(node.target, nodes.Name):
            scope[node.target.name] = base.items() if base else Shape(number=True)
        elif isinstance(node.target, nodes.Tuple):
            parts = self._unpacked(node.iter, len(node.target.items))
            names = [getattr(item, "name", "") for item in node.target.items]
            scope.update(zip(names, parts, strict=True))
        self._scopes.append(scope)
        if node.test is not None:
            self.walk(node.test)
        self._all(node.body)
        self._scopes.pop()
        self._all(node.else_)

    def _unpacked(self, source: nodes.Node, count: int) -> list[Shape]:
        """Shapes of the names of `for a, b in source`."""
        if isinstance(source, nodes.Call):
            if isinstance(source.node, nodes.Name) and len(source.args) == count:  # zip
                shapes = [self.shape(argument) for argument in source.args]
                return [shape.items() if shape else Shape() for shape in shapes]
            if isinstance(source.node, nodes.Getattr) and count > 1:  # items of a mapping
                base = self.shape(source.node.node)
                return [Shape()] * (count - 1) + [base.items() if base else Shape()]
        return [Shape() for _ in range(count)]
