"""What a run hands over: a folder that plain `transformers` and `peft` load, with equal answers.

The plain side of every comparison uses nothing of Tutelage but the files it wrote.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from chat_tokenizers import gemma_like
from families import bigram_model, tiny_model
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

import tutelage
from tutelage.models.export import export_model
from tutelage.models.load import load_model, load_tokenizer
from tutelage.models.lora import add_lora, merge_lora
from tutelage.tokens.encode import Encoder


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def plain(folder: Path) -> tuple[Any, Any]:
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return model.eval(), AutoTokenizer.from_pretrained(folder)


@torch.inference_mode()
def logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    return model(input_ids=ids, use_cache=False).logits


def random_ids(vocabulary: int) -> torch.Tensor:
    return torch.randint(vocabulary, (3, 20), generator=torch.Generator().manual_seed(0))


# --- a whole run ---


def run(csv: Path, model: Path, out: Path, **training: Any) -> Path:
    """A run without most of what is not looked at here."""
    settings = {
        "task.fields": {"text": "review"},
        "task.label": "sentiment",
        "task.group_by": "author",
        "model": str(model),
        "baselines.shots": [0],
        "baselines.classic": False,
        "training.precision": "fp32",
        "training.validations": 2,
        **{f"training.{key}": value for key, value in training.items()},
    }
    return tutelage.run(csv, settings=settings, out=out, device="cpu").path


@pytest.fixture(scope="module")
def full_run(tiny_reviews_csv: Path, tiny_model_dir: Path, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("full") / "run"
    training = {"epochs": 20, "learning_rate": 0.005, "batch_size": 8}  # until answers differ
    return run(tiny_reviews_csv, tiny_model_dir, out, **training)


@pytest.fixture(scope="module")
def lora_run(tiny_reviews_csv: Path, tiny_model_dir: Path, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("lora") / "run"
    training = {"method": "lora", "epochs": 1, "learning_rate": 0.02}
    return run(tiny_reviews_csv, tiny_model_dir, out, **training)


def prompt_ids(tokenizer: Any, row: dict[str, Any]) -> torch.Tensor:
    return tokenizer.apply_chat_template(
        [{"role": "user", "content": row["prompt"]}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=False,
    )


def plain_scores(model: Any, tokenizer: Any, row: dict[str, Any]) -> list[float]:
    """Log-likelihood of every option and the end of the turn, one plain pass each."""
    prompt = prompt_ids(tokenizer, row)
    found = []
    for option in row["options"]:
        answer = tokenizer(option + tokenizer.eos_token, return_tensors="pt").input_ids
        chances = logits(model, torch.cat([prompt, answer], dim=1)).log_softmax(-1)
        own = chances[0, prompt.shape[1] - 1 : -1]
        found.append(own.gather(1, answer[0, :, None]).sum().item())
    return found


@pytest.mark.parametrize("name", ["full_run", "lora_run"])
def test_plain_transformers_gives_the_same_answers(request, name: str) -> None:
    path = request.getfixturevalue(name)
    model, tokenizer = plain(path / "model")
    rows, predictions = lines(path / "data/test.jsonl"), lines(path / "test/tuned.jsonl")
    assert [row["id"] for row in rows] == [p["id"] for p in predictions]
    assert len(rows) > 30
    scores = [plain_scores(model, tokenizer, row) for row in rows]
    for found, prediction in zip(scores, predictions, strict=True):
        assert found == pytest.approx(prediction["scores"], abs=1e-3)
    best = [row["labels"][found.index(max(found))] for row, found in zip(rows, scores, strict=True)]
    assert best == [p["predicted"] for p in predictions]
    if name == "full_run":
        assert len(set(best)) == 3


def test_the_tuned_model_is_another_one(full_run: Path, tiny_model_dir: Path) -> None:
    tuned, tokenizer = plain(full_run / "model")
    base, base_tokenizer = plain(tiny_model_dir)
    ids = random_ids(len(tokenizer))
    assert (logits(tuned, ids) - logits(base, ids)).abs().max() > 0.1
    assert tuned.config.use_cache
    assert tokenizer.get_vocab() == base_tokenizer.get_vocab()
    assert tokenizer.chat_template == base_tokenizer.chat_template
    assert not [p for p in (full_run / "model").rglob("*") if p.suffix in (".bin", ".pt", ".pkl")]


def test_plain_generation_ends_the_turn_by_itself(full_run: Path) -> None:
    model, tokenizer = plain(full_run / "model")
    row = lines(full_run / "data/test.jsonl")[0]
    prompt = prompt_ids(tokenizer, row)
    out = model.generate(
        prompt, attention_mask=torch.ones_like(prompt), do_sample=False, max_new_tokens=40
    )
    *answer, last = out[0, prompt.shape[1] :].tolist()
    assert last == tokenizer.eos_token_id
    assert tokenizer.decode(answer) in row["options"]


def test_adapters_load_with_peft_and_equal_the_merged_model(
    lora_run: Path, tiny_model_dir: Path
) -> None:
    base, tokenizer = plain(tiny_model_dir)
    ids = random_ids(len(tokenizer))
    untuned = logits(base, ids)
    adapted = PeftModel.from_pretrained(base, lora_run / "model" / "adapter").eval()
    merged, _ = plain(lora_run / "model")
    torch.testing.assert_close(logits(merged, ids), logits(adapted, ids), rtol=0, atol=1e-4)
    assert (logits(merged, ids) - untuned).abs().max() > 0.01


# --- export as such ---


def test_export_keeps_every_logit(tiny_model_dir: Path, tmp_path: Path) -> None:
    model = load_model(tiny_model_dir)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.ones_like(parameter))
    encoder = Encoder(load_tokenizer(tiny_model_dir))
    export_model(model, encoder.tokenizer, encoder.stop_id, tmp_path / "model")
    again, tokenizer = plain(tmp_path / "model")
    ids = random_ids(len(tokenizer))
    assert torch.equal(logits(again, ids), logits(model, ids))
    text = "A <b>superb</b> kettle.\n"
    assert tokenizer(text).input_ids == encoder.tokenizer(text).input_ids


def test_generation_stops_at_a_turn_end_that_is_not_the_eos_token(tmp_path: Path) -> None:
    """A model that says 5 6, ends its turn, and would go on for ever."""
    tokenizer = gemma_like()
    encoder = Encoder(tokenizer)
    stop, size = encoder.stop_id, 8
    assert tokenizer.eos_token_id not in (stop, None)
    follows = {4: 5, 5: 6, 6: stop, stop: 5}
    chances = [[0.01] * size for _ in range(size)]
    for last, token in follows.items():
        chances[last][token] = 0.93
    model = bigram_model(chances)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    export_model(model, tokenizer, stop, tmp_path / "model")
    again, _ = plain(tmp_path / "model")
    prompt = torch.tensor([[4]])
    whole = torch.ones_like(prompt)
    out = again.generate(prompt, attention_mask=whole, do_sample=False, max_new_tokens=20)
    assert out[0].tolist() == [4, 5, 6, stop]


def test_merged_adapters_equal_the_adapted_model(tmp_path: Path) -> None:
    """Through export and a plain load, in a family with its own norms and tied embeddings."""
    model = tiny_model("gemma3_text", sliding_window=64)
    tokenizer = gemma_like()
    ids = random_ids(model.config.vocab_size)
    untuned = logits(model, ids)
    adapted = add_lora(model, rank=4, alpha=8, dropout=0.0, targets="all-linear", seed=0)
    noise = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name:  # zero at the start, so that an adapter changes nothing
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=noise))
    expected = logits(adapted.eval(), ids)
    assert (expected - untuned).abs().max() > 0.1
    export_model(merge_lora(adapted), tokenizer, 3, tmp_path / "model")
    again, _ = plain(tmp_path / "model")
    torch.testing.assert_close(logits(again, ids), expected, rtol=0, atol=1e-4)
