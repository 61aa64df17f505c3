"""Evaluation speed side by side, interleaved: option scoring and greedy decoding.

Scoring is compared with lm-evaluation-harness (its Hugging Face model, the same token ids, three
options of one or more tokens and the stop token), decoding with `generate` of `transformers` on
left-padded batches. Scores must equal in fp32 before anything is timed.

    .venv/bin/python benchmarks/score_speed.py --rounds 3
"""

from __future__ import annotations

import argparse
import copy
import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tutelage.machine.allocator import keep_memory

keep_memory()

import torch  # noqa: E402
from lm_eval.models.huggingface import HFLM  # noqa: E402

from result_file import write_result  # noqa: E402
from tutelage.config import load_config  # noqa: E402
from tutelage.evaluate.generate import generate_answers  # noqa: E402
from tutelage.evaluate.score import Question, score_options  # noqa: E402
from tutelage.machine.precision import probe  # noqa: E402
from tutelage.models.load import find_model, load_model, load_tokenizer  # noqa: E402
from tutelage.tasks.catalog import Catalog  # noqa: E402
from tutelage.tasks.rows import load_rows  # noqa: E402
from tutelage.templates.library import select  # noqa: E402
from tutelage.templates.render import draw, render  # noqa: E402
from tutelage.tokens.encode import Encoder  # noqa: E402
from works import text  # noqa: E402

ROWS = {"zero_shot": 128, "5shot": 48}  # of one round
ANSWERS = 32  # prompts of one round of decoding
NEW_TOKENS = 40
HARNESS_BATCH = 16


def questions(encoder: Encoder, shots: int, count: int) -> list[Question]:
    """Reviews under their templates, so many examples before each as earlier chat turns."""
    config, _ = load_config("reviews", catalog=Catalog())
    loaded = load_rows(config.task)
    templates = select(config.task.templates, loaded.labels)
    if shots:  # a round has few rows: as many of one template as a split of the demo has
        templates = templates[:1]

    def said(row: Any, template: Any) -> tuple[str, list[str]]:
        prompt, options = render(template, row.fields, loaded.labels, row.where)
        return prompt, list(options)

    examples = [
        next(r for r in loaded.rows[n * 100 :] if r.label == loaded.labels[n % len(loaded.labels)])
        for n in range(shots)
    ]
    found = []
    for row in loaded.rows[1000 : 1000 + count]:
        template = draw(templates, config.split.seed, row.id)
        before = []
        for example in examples:
            prompt, options = said(example, template)
            before.append((prompt, options[loaded.labels.index(example.label)]))
        prompt, options = said(row, template)
        ids = encoder.prompt(prompt, before)
        completions = tuple(encoder.completion(o) for o in options)
        found.append(Question(row.id, template.id, ids, completions))
    return found


def harness_scores(harness: HFLM, encoder: Encoder, asked: Sequence[Question]) -> list[Any]:
    """The same token ids through the harness."""
    requests = [
        (
            (encoder.decode(q.prompt_ids), encoder.decode(option)),
            list(q.prompt_ids),
            list(option),
        )
        for q in asked
        for option in q.options
    ]
    with torch.inference_mode():
        answers = iter(harness._loglikelihood_tokens(requests, disable_tqdm=True))
    return [tuple(next(answers)[0] for _ in q.options) for q in asked]


def agreement(ours: Sequence[Any], theirs: Sequence[Any]) -> dict[str, float]:
    """Largest difference of a score, and the share of rows with the same answer."""
    gaps = [
        abs(a - b) for x, y in zip(ours, theirs, strict=True) for a, b in zip(x, y, strict=True)
    ]
    same = [x.index(max(x)) == y.index(max(y)) for x, y in zip(ours, theirs, strict=True)]
    return {"largest_gap": max(gaps), "same_answer": sum(same) / len(same)}


def interleaved(
    sides: dict[str, Callable[[int], Any]], rounds: int
) -> tuple[dict[str, list[float]], dict[str, list[Any]]]:
    """Seconds of each side per round, one after the other in every round, and what they gave."""
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    given: dict[str, list[Any]] = {name: [] for name in sides}
    for turn in range(rounds):
        for name, side in sides.items():
            started = time.perf_counter()
            found = side(turn)
            seconds[name].append(time.perf_counter() - started)
            given[name] += found
    return seconds, given


def scoring(kind: str, rounds: int, model: Any, cast: Any, encoder: Encoder, dtype: str) -> Any:
    """One kind of scoring: equal in fp32 first, then timed in the machine's faster precision."""
    asked = questions(encoder, 5 if kind == "5shot" else 0, ROWS[kind] * rounds)
    first = asked[:12]
    exact = HFLM(pretrained=model, tokenizer=encoder.tokenizer, batch_size=HARNESS_BATCH)
    equal = agreement(score_options(model, first), harness_scores(exact, encoder, first))
    assert equal["largest_gap"] < 1e-4, equal
    harness = HFLM(pretrained=cast, tokenizer=encoder.tokenizer, batch_size=HARNESS_BATCH)

    def part(turn: int) -> list[Question]:
        return asked[turn * ROWS[kind] : (turn + 1) * ROWS[kind]]

    seconds, given = interleaved(
        {
            "ours": lambda turn: score_options(model, part(turn), precision=dtype),
            "lm_eval": lambda turn: harness_scores(harness, encoder, part(turn)),
        },
        rounds,
    )
    rates = {name: ROWS[kind] / statistics.median(s) for name, s in seconds.items()}
    truth = score_options(model, part(0))  # fp32
    return {
        "rows_per_round": ROWS[kind],
        "same_answer_as_fp32": {
            name: agreement(found[: ROWS[kind]], truth)["same_answer"]
            for name, found in given.items()
        },
        "prompt_tokens": sum(len(q.prompt_ids) for q in asked) / len(asked),
        "fp32": equal,
        dtype: agreement(given["ours"], given["lm_eval"]),
        "seconds": seconds,
        "rows_per_second": rates,
        "ratio": rates["ours"] / rates["lm_eval"],
    }


def answers(model: Any, cast: Any, encoder: Encoder, dtype: str, count: int) -> dict[str, Any]:
    """Share of rows on which two ways of computing give the same answer, zero-shot.

    The harness computes bf16 in two ways of its own: with weights in it, and by autocast over fp32.
    """
    asked = questions(encoder, 0, count)
    tokenizer, size = encoder.tokenizer, HARNESS_BATCH
    weights = HFLM(pretrained=cast, tokenizer=tokenizer, batch_size=size)
    mixed = {"mixed_precision_dtype": "bfloat16"} if dtype == "bf16" else {}
    autocast = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=size, **mixed)
    given = {
        "fp32": score_options(model, asked),
        "ours": score_options(model, asked, precision=dtype),
        "lm_eval_weights": harness_scores(weights, encoder, asked),
        "lm_eval_autocast": harness_scores(autocast, encoder, asked),
    }
    pairs = itertools.combinations(given, 2)
    same = {f"{a} = {b}": agreement(given[a], given[b])["same_answer"] for a, b in pairs}
    return {"rows": count, **same}


def decoding(rounds: int, model: Any, cast: Any, encoder: Encoder, dtype: str) -> Any:
    """Greedy answers of a fixed length, so that both decode the same number of tokens."""
    import random

    rng = random.Random(7)
    opening = encoder.prompt("Summarise the conversation.\n\n")[:-8]
    prompts = [(*opening, *text(rng, rng.randint(150, 400))) for _ in range(ANSWERS * rounds)]
    nothing = len(encoder.tokenizer) - 1  # a token that is hardly ever the most likely one

    def part(turn: int) -> list[tuple[int, ...]]:
        return prompts[turn * ANSWERS : (turn + 1) * ANSWERS]

    def ours(turn: int) -> list[Any]:
        found = generate_answers(
            model,
            part(turn),
            nothing,
            max_new_tokens=NEW_TOKENS,
            decode=encoder.decode,
            precision=dtype,
        )
        return [g.ids for g in found]

    def theirs(turn: int) -> list[Any]:
        rows = part(turn)
        width = max(map(len, rows))
        ids = torch.zeros(len(rows), width, dtype=torch.int64)
        mask = torch.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, width - len(row) :] = torch.tensor(row)
            mask[i, width - len(row) :] = 1
        with torch.inference_mode():
            out = cast.generate(
                ids,
                attention_mask=mask,
                max_new_tokens=NEW_TOKENS,
                min_new_tokens=NEW_TOKENS,
                do_sample=False,
                pad_token_id=0,
                eos_token_id=nothing,
            )
        return [tuple(row[width:].tolist()) for row in out]

    seconds, given = interleaved({"ours": ours, "generate": theirs}, rounds)
    rates = {name: ANSWERS / statistics.median(s) for name, s in seconds.items()}
    firsts = [a[:5] == b[:5] for a, b in zip(given["ours"], given["generate"], strict=True)]
    return {
        "answers_per_round": ANSWERS,
        "new_tokens": NEW_TOKENS,
        "same_first_five_tokens": sum(firsts) / len(firsts),
        "seconds": seconds,
        "answers_per_second": rates,
        "ratio": rates["ours"] / rates["generate"],
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--tuned", type=Path, help="a tuned model of the same shape: its answers too"
    )
    parser.add_argument("--answers", type=int, default=256, help="rows whose answers are compared")
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    folder = find_model("smollm2-135m").folder
    model, encoder = load_model(folder), Encoder(load_tokenizer(folder))
    rates = probe(torch.device("cpu"), 576, 1536, 4096)
    dtype = rates.faster
    cast = copy.deepcopy(model).to(torch.bfloat16 if dtype == "bf16" else torch.float32)
    found: dict[str, Any] = {}
    for kind in ROWS:
        found[kind] = scoring(kind, given.rounds, model, cast, encoder, dtype)
        print(kind, {k: v for k, v in found[kind].items() if k != "seconds"})
    found["decoding"] = decoding(given.rounds, model, cast, encoder, dtype)
    print("decoding", {k: v for k, v in found["decoding"].items() if k != "seconds"})
    folders = {"untuned": folder, **({"tuned": given.tuned} if given.tuned else {})}
    said = {}
    for name, where in folders.items():
        scored = load_model(where)
        halved = copy.deepcopy(scored).to(next(cast.parameters()).dtype)
        said[name] = answers(scored, halved, encoder, dtype, given.answers)
        print(name, said[name])
    command = f"score_speed.py --rounds {given.rounds} --answers {given.answers}"
    command += " --tuned <the demo's model>" if given.tuned else ""
    ratios = {
        "score_zero_shot": round(found["zero_shot"]["ratio"], 3),
        "score_5shot": round(found["5shot"]["ratio"], 3),
        "decoding": round(found["decoding"]["ratio"], 3),
    }
    print(f"ratios: {ratios}")
    versions = {name: version(name) for name in ("torch", "transformers", "lm_eval")}
    result = {"versions": versions, "ratios": ratios, "works": found, "same_answers": said}
    write_result("score", command, rates, result, given.out)


if __name__ == "__main__":
    main()
