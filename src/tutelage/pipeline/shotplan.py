"""Few-shot prompts before they are paid for: how many examples fit, and tokens per answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tutelage.evaluate.answer_cost import AnswerCost
from tutelage.evaluate.score import Question
from tutelage.models.load import context_length
from tutelage.pipeline.baseline import _SPLITS as ANSWERED
from tutelage.pipeline.baseline import _fitting_shots as fitting_shots
from tutelage.pipeline.dry import DryContext
from tutelage.records import Example
from tutelage.tokens.encode import Encoder, Shot

QUERIES = 400  # answers that costs are counted on; more are scaled up
Shots = Mapping[str, Sequence[Shot]]


def shot_facts(context: DryContext) -> list[dict[str, Any]]:
    """Per number of examples asked for, and for the most that fit: how many fit, and the cost.

    `sent_tokens` is what one answer costs where nothing is cached, `computed_tokens` what it
    costs here, where the beginning that prompts share is run once.
    """
    queries = all_queries(context)
    asked = list(context.run.config.baselines.shots)
    facts = [_facts(context, queries, k, shots_for(context, k)) for k in asked]
    most, shots = most_shots(context)
    if most > max(asked, default=0):
        facts.append({**_facts(context, queries, most, shots), "most": True})
    return facts


def all_queries(context: DryContext) -> list[Example]:
    """What every prompted arm answers: validation, test, and tasks that are held out."""
    return [e for name in ANSWERED for e in context.examples(name)]


def shots_for(context: DryContext, k: int) -> Shots:
    """The examples that stand in the prompts of a k-shot arm, by template."""
    return fitting_shots(context, context.examples("train"), all_queries(context), k)


def most_shots(context: DryContext) -> tuple[int, Shots]:
    """The largest number of examples that every template's longest query leaves room for."""
    rows = len(context.examples("train"))
    query = max(all_queries(context), key=lambda e: len(e.prompt))
    one = shots_for(context, 1).get(query.template, ())
    if not one:
        return 0, {}
    room = context_length(context.source.folder)
    bare = len(context.encoder.prompt(query.prompt, (), query.turns))
    cost = max(1, len(context.encoder.prompt(query.prompt, one, query.turns)) - bare)
    k = min(rows, max(1, (room - bare) // cost))
    while True:
        shots = shots_for(context, k)
        fitted = fitted_of(shots)
        if fitted < k or k >= rows:
            return fitted, {name: found[:fitted] for name, found in shots.items()}
        k = min(rows, k + max(1, k // 8))


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


def _facts(context: DryContext, queries: Sequence[Example], k: int, shots: Shots) -> dict[str, Any]:
    counted = spread(queries, QUERIES)
    cost = AnswerCost.of(questions(context.encoder, counted, shots))
    return {
        "asked": k,
        "fits": fitted_of(shots) if k else 0,
        "sent_tokens": round(cost.sent / cost.answers, 1),
        "computed_tokens": round(cost.computed(len(queries)) / len(queries), 1),
        "most": False,
    }
