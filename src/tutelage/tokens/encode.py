"""The one path from prompts to token ids; training, scoring, generation and serving all use it.

A prompt is wrapped in the chat template of the tokenizer, or takes a plain form where there is
none. Text from data is encoded so that no control token can come out of it: wherever a text
contains the spelling of a control token, it is encoded by a copy of the tokenizer that does not
know control tokens, and the real ones are put in by their ids.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jinja2
from tokenizers import Tokenizer

from tutelage.errors import InputError
from tutelage.records import Encoded, Example

Shot = tuple[str, str]
"""An earlier turn: (prompt, completion)."""

_OPEN, _CLOSE = "\ue000", "\ue001"  # private-use marks around a turn's number in the skeleton


class Encoder:
    """Encodes prompts and completions for one tokenizer.

    Attributes:
        stop_id: token that ends the model's turn; trained and scored as part of a completion.
        control_ids: ids that text from data can never produce.
        form: "chat" (the tokenizer's chat template) or "plain" (blank lines between examples).
    """

    def __init__(self, tokenizer: Any) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise InputError(
                "The model's tokenizer has no fast version (tokenizer.json is needed)."
            )
        self.tokenizer = tokenizer
        self.form = "chat" if tokenizer.chat_template else "plain"
        self._control = _control_tokens(tokenizer)
        self.control_ids = frozenset(self._control.values())
        spelled = sorted(self._control, key=len, reverse=True)
        self._pattern = re.compile("|".join(re.escape(t) for t in spelled) or r"(?!)")
        self._bare = _without_control(tokenizer, self._control)
        self._skeleton = lru_cache(maxsize=64)(self._render_skeleton)
        self.stop_id = self._find_stop()

    def prompt(self, user: str, shots: Sequence[Shot] = ()) -> tuple[int, ...]:
        """Ids that inference sends: earlier turns, the user's turn, the opening of the answer."""
        if self.form == "plain":
            return self._plain_prompt(user, shots)
        contents = [text for shot in shots for text in shot] + [user]
        literals = self._skeleton(len(contents), True)
        return self._join(literals, contents)

    def completion(self, text: str) -> tuple[int, ...]:
        """Ids of an answer, tokenised on its own, ending in the stop token."""
        return (*self._text(text), self.stop_id)

    def example(self, example: Example, shots: Sequence[Shot] = ()) -> Encoded:
        """Prompt and completion ids of one example."""
        prompt_ids = self.prompt(example.prompt, shots)
        return Encoded(example.id, prompt_ids, self.completion(example.completion))

    def options(self, example: Example) -> tuple[tuple[int, ...], ...]:
        """Completion ids of every label of an example, in label order."""
        return tuple(self.completion(option) for option in example.options)

    def decode(self, ids: Sequence[int]) -> str:
        """Exact text of ids, control tokens spelled out."""
        text: str = self.tokenizer.decode(
            list(ids), skip_special_tokens=False, clean_up_tokenization_spaces=False
        )
        return text

    def has_control(self, text: str) -> bool:
        """Whether a text spells a control token."""
        return self._pattern.search(text) is not None

    def _plain_prompt(self, user: str, shots: Sequence[Shot]) -> tuple[int, ...]:
        parts = [f"{prompt}\n{answer}\n\n" for prompt, answer in shots] + [f"{user}\n"]
        start = self.tokenizer("")["input_ids"]
        opening = [i for i in start if i == self.tokenizer.bos_token_id][:1]
        return (*opening, *self._text("".join(parts)))

    def _render_skeleton(self, turns: int, generation: bool) -> tuple[str, ...]:
        """Text of the chat template around `turns` contents: turns + 1 literals."""
        roles = ("user", "assistant")
        messages = [{"role": roles[i % 2], "content": f"{_OPEN}{i}{_CLOSE}"} for i in range(turns)]
        try:
            text: str = self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=generation
            )
        except jinja2.TemplateError as error:
            raise InputError(
                f"The model's chat template refuses {turns} turns of user and assistant ({error}). "
                "Give the tokenizer a chat template that takes them."
            ) from error
        pieces = re.split(f"{_OPEN}(\\d+){_CLOSE}", text)
        if pieces[1::2] != [str(i) for i in range(turns)]:
            raise InputError(
                "The model's chat template does not place every turn once and in order "
                f"(user, assistant, …; it placed {pieces[1::2]} of {turns} turns). "
                "Give the tokenizer a chat template that does."
            )
        return tuple(pieces[0::2])

    def _join(self, literals: Sequence[str], contents: Sequence[str]) -> tuple[int, ...]:
        text = literals[0] + "".join(c + lit for c, lit in zip(contents, literals[1:], strict=True))
        expected = sum(len(self._pattern.findall(literal)) for literal in literals)
        if not any(self.has_control(content) for content in contents):
            ids = tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"])
            if sum(i in self.control_ids for i in ids) == expected:
                return ids
        return self._join_guarded(literals, contents)

    def _join_guarded(self, literals: Sequence[str], contents: Sequence[str]) -> tuple[int, ...]:
        """The same ids, with control tokens taken from the literals only."""
        ids: list[int] = []
        text = ""
        for literal, content in zip(literals, (*contents, ""), strict=True):
            start = 0
            for match in self._pattern.finditer(literal):
                ids.extend(self._text(text + literal[start : match.start()]))
                ids.append(self._control[match.group()])
                text, start = "", match.end()
            text += literal[start:] + content
        return (*ids, *self._text(text))

    def _text(self, text: str) -> tuple[int, ...]:
        """Ids of plain text, free of control tokens."""
        if not text:
            return ()
        ids = tuple(self._bare.encode(text, add_special_tokens=False).ids)
        if self.control_ids.isdisjoint(ids):
            return ids
        # A vocabulary that holds the spelling as an ordinary piece: break every spelling in two.
        cut: list[int] = []
        start = 0
        for match in self._pattern.finditer(text):
            middle = (match.start() + match.end()) // 2
            cut.extend(self._bare.encode(text[start:middle], add_special_tokens=False).ids)
            start = middle
        cut.extend(self._bare.encode(text[start:], add_special_tokens=False).ids)
        if not self.control_ids.isdisjoint(cut):
            raise InputError(f"The text {text[:80]!r} encodes to a control token; remove it.")
        return tuple(cut)

    def _find_stop(self) -> int:
        """Token that follows the assistant's content in the chat template, else the eos token."""
        if self.form == "chat":
            after = self._skeleton(2, False)[-1]
            match = self._pattern.search(after)
            if match and not after[: match.start()].strip():
                return self._control[match.group()]
        stop: int | None = self.tokenizer.eos_token_id
        if stop is None:
            raise InputError("The model's tokenizer has no end-of-sequence token; set `eos_token`.")
        return stop


def _control_tokens(tokenizer: Any) -> dict[str, int]:
    """Spelling and id of special tokens and of added tokens the chat template writes."""
    template = tokenizer.chat_template or ""
    template = template if isinstance(template, str) else json.dumps(template)
    named = set(tokenizer.all_special_tokens)
    return {
        token.content: index
        for index, token in tokenizer.added_tokens_decoder.items()
        if token.content.strip()
        and (token.special or token.content in named or token.content in template)
    }


def _without_control(tokenizer: Any, control: dict[str, int]) -> Tokenizer:
    """A copy of the tokenizer that reads control tokens as ordinary text."""
    state = json.loads(tokenizer.backend_tokenizer.to_str())
    state["added_tokens"] = [t for t in state["added_tokens"] if t["content"] not in control]
    state["truncation"] = state["padding"] = None
    state["post_processor"] = None  # it names special tokens, and nothing is to be added here
    return Tokenizer.from_str(json.dumps(state))
