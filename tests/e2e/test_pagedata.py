"""What the page shows beyond report.json agrees with the files it was read from."""

from __future__ import annotations

from collections import Counter
from html import escape

import pytest

from tutelage import Result
from tutelage.evaluate.classic import joined_text
from tutelage.files import read_json
from tutelage.pipeline.pagedata import page_content
from tutelage.pipeline.run import open_context
from tutelage.pipeline.rundir import existing
from tutelage.pipeline.stage import Context, read_predictions
from tutelage.progress import Quiet
from tutelage.records import SPLITS
from tutelage.report.content import PageContent


@pytest.fixture(scope="module")
def context(tiny_run: Result) -> Context:
    return open_context(existing(tiny_run.path), "cpu", Quiet())


@pytest.fixture(scope="module")
def content(context: Context, tiny_run: Result) -> PageContent:
    return page_content(context, tiny_run.report, "tutelage run it")


def test_fixed_and_broken_rows_are_those_whose_answer_changed(
    content: PageContent, tiny_run: Result
) -> None:
    before = read_predictions(tiny_run.path / "baselines/zero_shot/test.jsonl")
    after = read_predictions(tiny_run.path / "test/tuned.jsonl")
    pairs = list(zip(before, after, strict=True))
    fixed = {a.id for b, a in pairs if b.predicted != b.gold == a.predicted}
    broken = {a.id for b, a in pairs if b.predicted == b.gold != a.predicted}
    changes = content.changes
    assert changes is not None
    assert (changes.fixed_total, changes.broken_total) == (len(fixed), len(broken))
    assert fixed
    assert {c.id for c in changes.fixed} <= fixed
    assert {c.id for c in changes.broken} <= broken
    assert len(changes.fixed) == min(10, len(fixed))
    assert all(c.before != c.gold == c.after for c in changes.fixed)
    assert all(c.before == c.gold != c.after for c in changes.broken)


def test_confusion_counts_every_test_row(content: PageContent, tiny_run: Result) -> None:
    confusion = content.confusion
    assert confusion is not None
    rows = tiny_run.report["rows"]["test"]
    for matrix, arm in ((confusion.before, "zero_shot"), (confusion.after, "tuned")):
        assert sum(map(sum, matrix)) == rows
        right = sum(row[i] for i, row in enumerate(matrix))
        assert right / rows == pytest.approx(tiny_run.metric(arm))


def test_curves_are_the_log(content: PageContent, tiny_run: Result) -> None:
    curves = content.curves
    assert curves is not None
    assert len(curves.steps) == tiny_run.report["training"]["steps"]
    assert len(curves.validations) == 4
    best = max(v.metric for v in curves.validations if v.metric is not None)
    assert best == pytest.approx(tiny_run.arms["tuned"]["validation"]["accuracy"])
    assert curves.best_step in {v.step for v in curves.validations}


def test_a_sample_is_what_was_trained(content: PageContent, context: Context) -> None:
    assert len({s.template for s in content.samples}) == len(content.samples) == 3
    by_id = {e.id: e for e in context.examples("train")}
    for sample in content.samples:
        prompt, trained = sample.segments
        row = by_id[sample.id]
        assert (prompt.trained, trained.trained) == (False, True)
        assert row.prompt in prompt.text
        assert trained.text == f"{row.completion}<|im_end|>"
        assert sample.trained_tokens == len(context.encoder.completion(row.completion))


def test_rows_behind_the_counts_are_named_with_their_text(
    content: PageContent, context: Context, tiny_run: Result
) -> None:
    summary = read_json(tiny_run.path / "data/summary.json")
    for remarks, counts in (
        (content.remarks.ledger, summary["ledger"]),
        (content.remarks.quality, summary["quality"]["counts"]),
    ):
        found = Counter(remark.kind for remark in remarks)
        assert found == {kind: min(3, n) for kind, n in counts.items() if n}
    texts = {e.id: joined_text(e) for split in SPLITS for e in context.examples(split)}
    duplicates = [r for r in content.remarks.ledger if r.kind == "duplicate"]
    assert len(duplicates) == 3
    assert all(r.text == texts[r.id][:400] != "" for r in duplicates)
    page = tiny_run.page.read_text(encoding="utf-8")
    assert all(r.id in page and escape(r.text[:100]) in page for r in duplicates)


def test_facts_of_data_and_model(content: PageContent, tiny_run: Result) -> None:
    summary = read_json(tiny_run.path / "data/summary.json")
    assert {s.name: s.rows for s in content.splits} == tiny_run.report["rows"]
    assert {f.name: f.value for f in content.ledger} == summary["ledger"]
    leaks = {f.name: f.value for f in content.leaks}
    assert (leaks["Exact duplicate pairs"], leaks["Pairs across splits"]) == (4, 0)
    assert content.data_source.endswith("reviews.csv")
    assert content.provenance is not None
    assert content.provenance.name.startswith("tiny-model")
    assert content.command == "tutelage run it"
    assert content.usage is not None
    assert content.usage.chat
    assert content.answers is None
    assert "task:" in content.config_yaml
