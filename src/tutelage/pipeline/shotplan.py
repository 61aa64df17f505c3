"""Few-shot prompts before they are paid for: how many examples fit, and tokens per answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tutelage.evaluate.answer_cost import AnswerCost
from tutelage.evaluate.score import Question
from tutelage.models.load import context_length
from tutelage.pipeline.baseline import ANSWERED, fitting_shots
from tutelage.pipeline.dry import DryContext
from tutelage.records import Example
from tutelage.tokens.encode import Encoder, Shot

QUERIES = 1_000  # answers that costs are counted on; more are scaled up
Shots = Mapping[str, Sequence[Shot]]


class ShotBook:
    """The examples in the prompts of a run's k-shot arms, looked up once per k.

    How many fit depends on the longest query of each template alone.
    """

    def __init__(self, context: DryContext) -> None:
        self.context = context
        self.queries = all_queries(context)
        longest: dict[str, tuple[int, Example]] = {}
        for query in self.queries:
            size = len(context.encoder.prompt(query.prompt, (), query.turns))
            if size > longest.get(query.template, (0, query))[0]:
                longest[query.template] = (size, query)
        self._longest = longest
        self._found: dict[int, Shots] = {}

    def __getitem__(self, k: int) -> Shots:
        """Per template, as many of `k` examples as leave every query uncut."""
        if k not in self._found:
            train = self.context.examples("train")
            queries = [query for _, query in self._longest.values()]
            self._found[k] = fitting_shots(self.context, train, queries, k)
        return self._found[k]

    def most(self) -> tuple[int, Shots]:
        """The largest number of examples that every template's longest query leaves room for."""
        encoder, rows = self.context.encoder, len(self.context.examples("train"))
        bare, query = max(self._longest.values(), key=lambda found: found[0])
        one = self[1].get(query.template, ())
        if not one:
            return 0, {}
        cost = max(1, len(encoder.prompt(query.prompt, one, query.turns)) - bare)
        k = min(rows, max(1, (context_length(self.context.source.folder) - bare) // cost))
        while (fitted := fitted_of(self[k])) == k < rows:
            k = min(rows, k + max(1, k // 8))
        return fitted, {name: found[:fitted] for name, found in self[k].items()}


def shot_facts(book: ShotBook) -> list[dict[str, Any]]:
    """Per number of examples asked for, and for the most that fit: how many fit, and the cost.

    `sent_tokens` is what one answer costs where nothing is cached, `computed_tokens` what it
    costs here, where the beginning that prompts share is run once.
    """
    asked = list(book.context.run.config.baselines.shots)
    facts = [_facts(book, k, book[k]) for k in asked]
    most, shots = book.most()
    if most > max(asked, default=0):
        facts.append({**_facts(book, most, shots), "most": True})
    return facts


def all_queries(context: DryContext) -> list[Example]:
    """What every prompted arm answers: validation, test, and tasks that are held out."""
    return [e for name in ANSWERED for e in context.examples(name)]


def fitted_of(shots: Shots) -> int:
    """Examples that every template has in its prompts."""
    return min((len(found) for found in shots.values()), default=0)


def questions(encoder: Encoder, queries: Sequence[Example], shots: Shots) -> list[Question]:
    """Queries as they would be sent; of a text answer the first gold one stands for its length."""
    return [
        Question(
            id=e.id,
            group=e.template,
            prompt_ids=encoder.prompt(e.prompt, shots.get(e.template, ()), e.turns),
            options=(encoder.completion(e.completion),) if e.answers else encoder.options(e),
        )
        for e in queries
    ]


def spread(queries: Sequence[Example], count: int) -> list[Example]:
    """`count` of the queries at equal distances in order of length."""
    ordered = sorted(queries, key=lambda e: (len(e.prompt), e.id))
    if len(ordered) <= count:
        return ordered
    return [ordered[(2 * i + 1) * len(ordered) // (2 * count)] for i in range(count)]


def cost_of(
    context: DryContext, queries: Sequence[Example], shots: Shots, most: int = QUERIES
) -> AnswerCost:
    """Tokens of `most` of the queries, or of all; `AnswerCost.computed` scales them up."""
    return AnswerCost.of(questions(context.encoder, spread(queries, most), shots))


def _facts(book: ShotBook, k: int, shots: Shots) -> dict[str, Any]:
    cost, queries = cost_of(book.context, book.queries, shots), book.queries
    return {
        "asked": k,
        "fits": fitted_of(shots) if k else 0,
        "sent_tokens": round(cost.sent / cost.answers, 1),
        "computed_tokens": round(cost.computed(len(queries)) / len(queries), 1),
        "most": False,
    }
