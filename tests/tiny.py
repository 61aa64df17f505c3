"""A tiny table and a tiny model, small enough for every test and real in their traps.

Torch is imported inside functions only, so that tests of torch-free modules stay fast.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

# --- the table ---


SIGNALS = {
    "positive": "superb delightful sturdy flawless charming brilliant reliable splendid",
    "neutral": "adequate ordinary standard average plain typical usual unremarkable",
    "negative": "awful flimsy broken useless dreadful faulty disappointing shoddy",
}
SIZES = {"positive": 100, "neutral": 70, "negative": 62}
NOUNS = (
    "kettle lamp camera chair backpack blender clock speaker tent keyboard printer jacket radio "
    "bicycle mirror pillow ladder drill notebook umbrella teapot guitar compass scooter aquarium"
)
PARTS = (
    "handle cable lid battery strap button hinge lens cover switch zip spring label motor screen "
    "frame wheel valve fabric latch nozzle pedal socket dial bracket"
)
SCENES = (
    "in the morning;after two weeks;on our trip to the coast;while it rained;for my sister;next to "
    "the window;during a long winter;at the office;with cold fingers;before the guests came;on the "
    "third attempt;under bright light;near the stove;between two meetings;over the whole summer;"
    "without reading the manual;in a crowded kitchen;as a birthday present;behind the garage;on a "
    "quiet Sunday"
)
VERBS = "felt;looked;seemed;proved;remained;turned out;stayed;sounded"
OPENERS = (
    "Bought this {noun} {scene}",
    "My neighbour lent me a {noun} {scene}",
    "We unpacked the {noun} {scene}",
    "Another {noun}, used mostly {scene}",
    "They delivered one {noun} {scene}",
    "I compared each {noun} {scene}",
)


class Review(NamedTuple):
    """One line of the tiny table."""

    id: str
    review: str
    sentiment: str
    author: str


def tiny_reviews(seed: int = 0) -> list[Review]:
    """240 reviews by 40 authors whose words give the label away, in shuffled order.

    232 have texts that differ clearly; four are exact copies (id `copy-<id>`) and four near copies
    (id `near-<id>`, a word more at both ends) of others, each under another author's name.
    """
    rng = random.Random(seed)
    labels = [label for label, size in SIZES.items() for _ in range(size)]
    rng.shuffle(labels)
    authors = [f"author-{number % 40:02d}" for number in range(len(labels))]
    rng.shuffle(authors)
    reviews = [
        Review(f"r{number:03d}", _sentence(rng, label), label, author)
        for number, (label, author) in enumerate(zip(labels, authors, strict=True))
    ]
    for number, twin in enumerate(rng.sample(reviews, 8)):
        author = rng.choice([name for name in sorted(set(authors)) if name != twin.author])
        if number < 4:
            again = twin._replace(id=f"copy-{twin.id}", author=author)
        else:
            text = f"Well: {twin.review} Honestly!"
            again = Review(f"near-{twin.id}", text, twin.sentiment, author)
        reviews.append(again)
    rng.shuffle(reviews)
    return reviews


def _sentence(rng: random.Random, label: str) -> str:
    words = rng.sample(SIGNALS[label].split(), 2)
    scenes = rng.sample(SCENES.split(";"), 2)
    parts = rng.sample(PARTS.split(), 3)
    verbs = rng.sample(VERBS.split(";"), 2)
    opener = rng.choice(OPENERS).format(noun=rng.choice(NOUNS.split()), scene=scenes[0])
    return (
        f"{opener}; the {parts[0]} {verbs[0]} {words[0]}, the {parts[1]} {verbs[1]} {words[1]} "
        f"{scenes[1]}, unlike the old {parts[2]}."
    )


def write_tiny_reviews(path: Path, reviews: Sequence[Review]) -> Path:
    """A CSV file: id, review, sentiment, author."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(Review._fields)
        writer.writerows(reviews)
    return path


# --- the model ---

# As in SmolLM2: every turn opens with the BOS token, and pad, eos and end of turn are one id.
END_OF_TEXT, TURN, END_OF_TURN = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
CHAT_TEMPLATE = (
    "{%- if messages[0].role != 'system' -%}"
    "{{ '<|im_start|>system\nA tiny model that exists for tests.<|im_end|>\n' }}"
    "{%- endif -%}"
    "{%- for turn in messages -%}"
    "{{ '<|im_start|>' ~ turn.role ~ '\n' ~ turn.content ~ '<|im_end|>\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)


def write_tiny_model(path: Path) -> Path:
    """A random Llama (2 layers, 32 wide, 4 heads over 2 KV heads) with its chat tokenizer.

    Safetensors and tokenizer files as `save_pretrained` writes them.
    """
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    tokenizer = _tiny_tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,  # of 16, as the kernels take them
        num_key_value_heads=1,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig.from_model_config(config)
    model.save_pretrained(path)
    tokenizer.save_pretrained(path)
    return path


def _tiny_tokenizer() -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=512,
        special_tokens=[END_OF_TEXT, TURN, END_OF_TURN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator((row.review for row in tiny_reviews()), trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        unk_token=END_OF_TEXT,
        bos_token=TURN,
        eos_token=END_OF_TURN,
        pad_token=END_OF_TURN,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


# --- the run ---

# How the tiny model is tuned on the tiny table in a few seconds.
TINY_SETTINGS = {
    "task.fields": {"text": "review"},
    "task.label": "sentiment",
    "task.group_by": "author",
    "baselines.shots": [0, 2],
    "training.epochs": 6,
    "training.learning_rate": 0.01,
    "training.precision": "fp32",
}
