"""Row × template → Example, its text cut where the prompt would be too long."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tutelage.config import RunConfig
from tutelage.data.ledger import Ledger
from tutelage.errors import ConfigError
from tutelage.models.load import context_length
from tutelage.records import Example, Row, Turn
from tutelage.templates.render import Rendered, render_row
from tutelage.templates.schema import Template
from tutelage.tokens.encode import Encoder
from tutelage.tokens.fitting import fit_fields

_DEFAULT_LIMIT = 2048  # tokens; attention memory grows with the square of it
_ROOM = 2  # a row that fits twice under one wording fits under all


@dataclass(frozen=True, slots=True)
class ExampleMaker:
    """Renders rows for one tokenizer.

    Attributes:
        labels: of the task; empty where rows bring their own options or answers.
        limit: longest example in tokens.
        truncate: fields that may be cut, in order; empty means the longest first.
        render: `render_row`, or what keeps templates of unknown origin in a limited process.
    """

    encoder: Encoder
    labels: tuple[str, ...]
    limit: int
    truncate: tuple[str, ...] = ()
    render: Callable[[Template, Row, Sequence[str]], Rendered] = render_row

    def make(
        self,
        row: Row,
        group: str,
        template: Template,
        others: Sequence[Template],
        ledger: Ledger,
    ) -> Example | None:
        """The row under `template`, cut so that it fits under `others` too; None drops it."""
        fields = self._fitted(row, template, others, ledger)
        return (
            None if fields is None else self.example(replace(row, fields=fields), group, template)
        )

    def example(self, row: Row, group: str, template: Template) -> Example:
        """A row under one template, as it stands."""
        rendered = self.render(template, row, self.labels)
        options = self._options(template, row, rendered)
        return Example(
            id=row.id,
            fields=dict(row.fields),
            label=row.label,
            group=group,
            template=template.id,
            prompt=rendered.prompt,
            options=options,
            labels=row.answers or row.choices or self.labels,
            where=row.where,
            extra=dict(row.extra),
            answers=row.answers,
            turns=_turns(row, rendered, template),
            task=row.task,
            choices=row.choices if row.answers else (),
        )

    def again(self, example: Example, old: Template, new: Template) -> Example:
        """An example under another template; its text stays cut as it is."""
        if old.id == new.id:
            return example
        row = row_of(example, old, self.labels)
        rendered = self.render(new, row, self.labels)
        return replace(
            example,
            template=new.id,
            prompt=rendered.prompt,
            options=self._options(new, row, rendered),
            turns=_turns(row, rendered, new),
        )

    def _options(self, template: Template, row: Row, rendered: Rendered) -> tuple[str, ...]:
        """The completions of all labels, or of all gold answers."""
        others = (replace(row, label=answer) for answer in row.answers[1:])
        more = (self.render(template, other, self.labels).options[0] for other in others)
        return (*rendered.options, *more)

    def _fitted(
        self, row: Row, template: Template, others: Sequence[Template], ledger: Ledger
    ) -> Mapping[str, Any] | None:
        if self._tokens(row, template) * _ROOM <= self.limit:
            return row.fields
        every = (template, *others)

        def count(fields: Mapping[str, Any]) -> int:
            filled = {k: "\u2026" if v == "" else v for k, v in fields.items()}
            return max(self._tokens(replace(row, fields=filled), t) for t in every)

        fitted = fit_fields(row.fields, count, self.limit, self.truncate)
        if fitted is None:
            what = f"does not fit {self.limit} tokens even when cut"
            ledger.add(row.id, row.where, "dropped", what)
            return None
        fields, cuts = fitted
        for cut in cuts:
            what = f"{cut.field}: last {cut.characters} characters"
            ledger.add(row.id, row.where, "truncated", what)
        return fields

    def _tokens(self, row: Row, template: Template) -> int:
        rendered = self.render(template, row, self.labels)
        prompt = self.encoder.prompt(rendered.prompt, turns=_turns(row, rendered, template))
        return len(prompt) + max(len(self.encoder.completion(o)) for o in rendered.options)


def longest_example(config: RunConfig, model: Path) -> int:
    """Longest example in tokens: the user's, or the model's context up to a default."""
    asked = config.training.max_length
    return min(context_length(model), asked if asked is not None else _DEFAULT_LIMIT)


def row_of(example: Example, template: Template, labels: tuple[str, ...]) -> Row:
    """The row that an example was made of."""
    turns = example.turns[1:] if template.system is not None else example.turns
    if example.answers:
        choices = example.choices
    else:
        choices = () if example.labels == labels else example.labels
    return Row(
        id=example.id,
        fields=example.fields,
        label=example.label,
        where=example.where,
        group=example.group,
        extra=example.extra,
        answers=example.answers,
        choices=choices,
        turns=turns,
        task=example.task,
    )


def _turns(row: Row, rendered: Rendered, template: Template) -> tuple[Turn, ...]:
    """What stands before the prompt, stripped as chat templates strip turns."""
    turns = tuple(replace(turn, content=turn.content.strip()) for turn in row.turns)
    if rendered.system is None:
        return turns
    if row.turns and row.turns[0].role == "system":
        raise ConfigError(
            f"template {template.id}: has a system turn, and so has {row.where}. Choose templates "
            "without one."
        )
    return (Turn("system", rendered.system), *turns)
