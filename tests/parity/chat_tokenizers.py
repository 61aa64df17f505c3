"""Small tokenizers with the chat forms of well-known families, written from their descriptions."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

TEXTS = (
    "Is the review positive, neutral or negative? The kettle is superb and the cable is sturdy.",
    "user model assistant system\n\n\nAn awful lamp; a broken zip: useless. 0123456789",
)

# Contents are trimmed, the answering role is called `model`, and there is a beginning token.
GEMMA = (
    "{{ bos_token }}{% for turn in messages %}"
    "{% if (turn['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Turns must alternate') }}{% endif %}"
    "{{ '<start_of_turn>' + ('model' if turn['role'] == 'assistant' else turn['role']) }}"
    "{{ '\n' + turn['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"
)

# A beginning token, role headers between tokens of their own, and a system turn of its own.
LLAMA = (
    "{{ bos_token + '<|header|>system<|/header|>\n\nToday is a day.<|turn_end|>' }}"
    "{% for turn in messages %}"
    "{{ '<|header|>' + turn['role'] + '<|/header|>\n\n' + turn['content'] | trim }}"
    "{{ '<|turn_end|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|header|>assistant<|/header|>\n\n' }}{% endif %}"
)


def gemma_like() -> PreTrainedTokenizerFast:
    """Ends a turn with a token that is not its eos token."""
    return _tokenizer(GEMMA, "<bos>", "<eos>", ("<start_of_turn>", "<end_of_turn>"))


def llama_like() -> PreTrainedTokenizerFast:
    """Puts its bos token before whatever it encodes, as its post-processor says."""
    turns = ("<|header|>", "<|/header|>", "<|turn_end|>")
    tokenizer = _tokenizer(LLAMA, "<|begin|>", "<|end|>", turns)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<|begin|> $A", special_tokens=[("<|begin|>", tokenizer.bos_token_id)]
    )
    return tokenizer


def _tokenizer(template: str, bos: str, eos: str, turns: Sequence[str]) -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=[bos, eos, *turns],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(TEXTS, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, bos_token=bos, eos_token=eos, pad_token=eos
    )
    tokenizer.chat_template = template
    return tokenizer
