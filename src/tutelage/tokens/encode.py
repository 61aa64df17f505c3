"""The one path from prompts to token ids; training, scoring, generation and serving all use it.

A prompt is wrapped in the chat template of the tokenizer, or takes a plain form where there is
none. Text from data is encoded so that no control token can come out of it: wherever a text
contains the spelling of a control token, it is encoded by a copy of the tokenizer that does not
know control tokens, and the real ones are put in by their ids.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import chain, repeat
from typing import Any

import jinja2
from tokenizers import Tokenizer

from tutelage.errors import InputError
from tutelage.records import Encoded, Example, Role, Turn

Shot = tuple[str, str]
"""An earlier turn: (prompt, completion)."""

_PLAIN_ENDS = {"assistant": "\n\n", "system": "\n\n", "tool": "\n", "user": "\n"}
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

    def prompt(
        self, user: str, shots: Sequence[Shot] = (), turns: Sequence[Turn] = ()
    ) -> tuple[int, ...]:
        """Ids that inference sends: earlier turns, the user's turn, the opening of the answer.

        Of `turns` a leading system turn stands first, then the few-shot examples, then the rest.
        """
        messages = self.messages(user, shots, turns)
        if self.form == "plain":
            return self._plain_prompt(messages)
        literals = self._skeleton(tuple(role for role, _ in messages), True)
        return self._join(literals, [content for _, content in messages])

    def completion(self, text: str) -> tuple[int, ...]:
        """Ids of an answer, tokenised on its own, ending in the stop token."""
        return (*self._text(text), self.stop_id)

    def example(self, example: Example, shots: Sequence[Shot] = ()) -> Encoded:
        """Prompt and completion ids of one example; of a conversation, of all trained turns.

        Raises:
            InputError: earlier turns are trained, and the chat template does not end the
                assistant's turns in the stop token.
        """
        messages = self.messages(example.prompt, shots, example.turns)
        if not any(turn.trained for turn in example.turns):
            prompt_ids = self.prompt(example.prompt, shots, example.turns)
            completion_ids = self.completion(example.completion)
            return Encoded(example.id, prompt_ids, completion_ids, template=example.template)
        first = len(messages) - len(example.turns) - (1 if example.prompt else 0)
        trained = {first + i for i, turn in enumerate(example.turns) if turn.trained}
        return self._conversation(example, [*messages, ("assistant", example.completion)], trained)

    def _conversation(
        self, example: Example, messages: Sequence[tuple[Role, str]], trained: Collection[int]
    ) -> Encoded:
        """Ids of a conversation whose answer and `trained` turns are targets.

        What a trained turn says is tokenised on its own, as an answer is; what stands between
        two of them is tokenised together. The prompt ends where the first of them begins.
        """
        last = len(messages) - 1
        literals = self._literals(tuple(role for role, _ in messages))
        stop = self.decode([self.stop_id])
        parts: list[tuple[tuple[int, ...], bool]] = []
        pieces, contents = [literals[0]], list[str]()
        for i, (_, content) in enumerate(messages):
            after = literals[i + 1]
            if i not in trained and i != last:
                contents.append(content)
                pieces.append(after)
                continue
            parts += [(self._join(pieces, contents), False), (self.completion(content), True)]
            if i != last and not after.startswith(stop):
                raise InputError(
                    f"{example.where}: the model's chat template does not end the assistant's "
                    f"turns in {stop!r}, so only the last can be trained. Set task.loss_on=last."
                )
            pieces, contents = [after.removeprefix(stop)], []
        (prompt_ids, _), *rest = parts
        return Encoded(
            example.id,
            prompt_ids,
            tuple(chain.from_iterable(ids for ids, _ in rest)),
            tuple(chain.from_iterable(repeat(mark, len(ids)) for ids, mark in rest)),
            example.template,
        )

    def _literals(self, roles: tuple[Role, ...]) -> tuple[str, ...]:
        if self.form == "plain":
            raise InputError(
                "The tokenizer has no chat template, so only the last answer of a conversation "
                "can be trained. Set task.loss_on=last."
            )
        return self._skeleton(roles, False)

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

    def messages(
        self, user: str, shots: Sequence[Shot], turns: Sequence[Turn]
    ) -> list[tuple[Role, str]]:
        """Role and content in order; a system turn joins the first turn where none is taken."""
        head = [(t.role, t.content) for t in turns[:1] if t.role == "system"]
        rest = [(t.role, t.content) for t in turns[len(head) :]]
        shown: list[tuple[Role, str]] = []
        for prompt, answer in shots:
            shown += [("user", prompt), ("assistant", answer)]
        messages = [*head, *shown, *rest, ("user", user)]
        if not user and rest:  # the answer follows a tool's turn
            messages.pop()
        if head and self.form == "chat" and not self._takes_system():
            (_, system), (role, first), *others = messages
            messages = [(role, f"{system}\n\n{first}"), *others]
        return messages

    def _takes_system(self) -> bool:
        try:
            self._skeleton(("system", "user"), True)
        except InputError:
            return False
        return True

    def _plain_prompt(self, messages: Sequence[tuple[Role, str]]) -> tuple[int, ...]:
        start = self.tokenizer("")["input_ids"]
        opening = [i for i in start if i == self.tokenizer.bos_token_id][:1]
        return (*opening, *self._text(plain_text(messages)))

    def _render_skeleton(self, roles: tuple[Role, ...], generation: bool) -> tuple[str, ...]:
        """Text of the chat template around the contents of turns: one literal more than turns."""
        messages = [{"role": r, "content": f"{_OPEN}{i}{_CLOSE}"} for i, r in enumerate(roles)]
        order = ", ".join(roles[:4]) + (", …" if len(roles) > 4 else "")
        try:
            text: str = self.tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=generation
            )
        except jinja2.TemplateError as error:
            raise InputError(
                f"The model's chat template refuses {len(roles)} turns of {order} ({error}). "
                "Give the tokenizer a chat template that takes them."
            ) from error
        pieces = re.split(f"{_OPEN}(\\d+){_CLOSE}", text)
        if pieces[1::2] != [str(i) for i in range(len(roles))]:
            raise InputError(
                "The model's chat template does not place every turn once and in order "
                f"({order}; it placed {pieces[1::2]} of {len(roles)} turns). "
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
            after = self._skeleton(("user", "assistant"), False)[-1]
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


def plain_text(messages: Sequence[tuple[Role, str]]) -> str:
    """Role and content in the plain form, which a tokenizer without a chat template takes."""
    return "".join(text + _PLAIN_ENDS[role] for role, text in messages)
