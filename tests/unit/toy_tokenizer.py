"""Byte-level tokenizers without merges, in the shapes that real ones have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

CHATML = (
    "{% for turn in messages %}<|im_start|>{{ turn.role }}\n{{ turn.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
# Opens with BOS, calls the assistant "model", and strips each turn.
GEMMA = (
    "{{ bos_token }}{% for turn in messages %}<start_of_turn>"
    "{{ 'model' if turn.role == 'assistant' else turn.role }}\n{{ turn.content | trim }}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def toy_tokenizer(
    template: str | None = None,
    *,
    bos: str | None = "<s>",
    eos: str | None = "</s>",
    special: Sequence[str] = (),
    merges: Sequence[tuple[str, str]] = (),
    adds_bos: bool = False,
) -> Any:
    """A fast tokenizer whose ordinary tokens are the 256 bytes, and what `merges` make of them."""
    pieces = [*sorted(pre_tokenizers.ByteLevel.alphabet()), *(a + b for a, b in merges)]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    core = Tokenizer(models.BPE(vocabulary, list(merges)))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([token for token in (bos, eos, *special) if token])
    if adds_bos:
        core.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, core.token_to_id(bos))]
        )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, bos_token=bos, eos_token=eos)
    tokenizer.chat_template = template
    return tokenizer


def chatml() -> Any:
    """As Qwen's: the turn's end is not the eos token of the tokenizer."""
    return toy_tokenizer(
        CHATML, bos=None, eos="<|endoftext|>", special=["<|im_start|>", "<|im_end|>"]
    )


def gemma() -> Any:
    """As Gemma's: BOS in front, turns that end in `<end_of_turn>`."""
    return toy_tokenizer(
        GEMMA, bos="<bos>", eos="<eos>", special=["<start_of_turn>", "<end_of_turn>"]
    )
