"""Ready-made conversations (OpenAI chat, ShareGPT, Alpaca) as turns, a prompt and its answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple

from tutelage.errors import InputError, nearest
from tutelage.files import canonical_json
from tutelage.records import Role, Turn
from tutelage.tasks.cells import cell_text
from tutelage.tasks.shape import CONVERSATIONS, Shape

_ROLES: dict[str, Role] = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(
        ("assistant", "gpt", "chatgpt", "bot", "model", "bing", "bard", "function_call"),
        "assistant",
    ),
    **dict.fromkeys(("tool", "function", "observation", "function_response"), "tool"),
}
_ROLE_KEYS = ("role", "from", "speaker")
_TEXT_KEYS = ("content", "value", "text")


class Said(NamedTuple):
    """One turn as it stands in the source; `weight` 0 means never to train on it."""

    role: Role
    text: str
    weight: float = 1


@dataclass(frozen=True, slots=True)
class Conversation:
    """What stands before the prompt, the prompt, and the answer to train on.

    The prompt is empty where the answer follows a tool's turn, which is then the last of `turns`.
    `joined` turns stood behind one of the same role; `unused` ones stand behind the answer.
    """

    turns: tuple[Turn, ...]
    prompt: str
    answers: tuple[str, ...]
    joined: int = 0
    unused: int = 0


def read_conversation(cells: Mapping[str, Any], shape: Shape, *, train_all: bool) -> Conversation:
    """The conversation of one record.

    Descriptions of tools and calls of tools become text: the tools one JSON object per line at the
    end of the system turn, a call as a JSON line of its assistant's turn.

    Args:
        cells: the record's.
        shape: "openai" and "sharegpt" are read alike: a list of turns, under the usual keys.
        train_all: mark every earlier turn of the assistant as trained, but those of weight 0.

    Raises:
        InputError: there is no answer or no prompt, or a turn cannot be read; without an address.
    """
    said = _alpaca(cells) if shape == "alpaca" else list(_listed(cells))
    said, joined = _joined(_with_tools(said, cells.get("tools") or cells.get("functions")))
    places = [i for i, turn in enumerate(said) if _is_answer(turn)]
    if not places:
        raise InputError("empty answer: the assistant says nothing, or only with weight 0")
    last = places[-1]
    before, answer = said[:last], said[last].text
    asked = before.pop().text if before and before[-1].role == "user" else ""
    if not asked.strip() and not (before and before[-1].role == "tool"):
        raise InputError("no user turn before the answer")
    turns = tuple(Turn(turn.role, turn.text, train_all and _is_answer(turn)) for turn in before)
    return Conversation(turns, asked, (answer,), joined, len(said) - last - 1)


def _is_answer(said: Said) -> bool:
    return said.role == "assistant" and bool(said.weight) and bool(said.text.strip())


def _listed(cells: Mapping[str, Any]) -> Iterator[Said]:
    """The turns of a list of messages, after a `system` cell beside it.

    A list `prompt` and a list `completion` make one list.
    """
    key = next((k for k in (*CONVERSATIONS, "prompt") if k in cells), None)
    if key is None:
        raise InputError(f"no conversation: there is none of {', '.join(CONVERSATIONS)}")
    messages = cells[key]
    if key == "prompt" and isinstance(messages, list):
        completion = cells.get("completion")
        messages = [*messages, *(completion if isinstance(completion, list) else [])]
    if isinstance(messages, str) and messages.lstrip().startswith("["):
        try:
            messages = json.loads(messages)
        except ValueError as error:
            raise InputError(f"{key!r} is text, but not a JSON list") from error
    if not isinstance(messages, list) or not messages:
        raise InputError(f"{key!r} is not a list of turns")
    if isinstance(cells.get("system"), str) and cells["system"].strip():
        yield Said("system", cells["system"])
    for number, message in enumerate(messages):
        if not isinstance(message, Mapping):
            raise InputError(f"turn {number} of {key!r} is not an object with role and content")
        yield _said(message, f"turn {number}")


def _said(message: Mapping[str, Any], place: str) -> Said:
    name = next((message[k] for k in _ROLE_KEYS if k in message), None)
    if not isinstance(name, str) or name.strip().casefold() not in _ROLES:
        told = nearest(name, _ROLES) if isinstance(name, str) else ""
        raise InputError(f"{place} has the unknown role {name!r}{told.rstrip('?')}")
    content = next((message[k] for k in _TEXT_KEYS if k in message), None)
    texts = [text for text in (_content(content, place), *_calls(message)) if text]
    weight = message.get("weight", 1)
    counts = weight if isinstance(weight, int | float) else 1
    return Said(_ROLES[name.strip().casefold()], "\n".join(texts), counts)


def _content(content: Any, place: str) -> str:
    """The text of a turn; parts of it are joined."""
    if content is None or isinstance(content, str):
        return content or ""
    if not isinstance(content, list):
        return cell_text(content)
    texts = []
    for part in content:
        kind = part.get("type", "text") if isinstance(part, Mapping) else "text"
        text = part.get("text") if isinstance(part, Mapping) else part
        if kind not in ("text", "input_text", "output_text") or not isinstance(text, str):
            raise InputError(f"{place} holds {kind}, not text")
        texts.append(text)
    return "\n".join(texts)


def _calls(message: Mapping[str, Any]) -> Iterator[str]:
    """A JSON line per tool that a message calls."""
    calls = message.get("tool_calls") or []
    if message.get("function_call"):
        calls = [*calls, {"function": message["function_call"]}]
    for call in calls:
        called = call.get("function", call) if isinstance(call, Mapping) else call
        if not isinstance(called, Mapping):
            raise InputError("a tool call is not an object")
        arguments = called.get("arguments", {})
        if isinstance(arguments, str):
            with suppress(ValueError):  # else it is kept as the text that it is
                arguments = json.loads(arguments)
        yield json.dumps({"name": called.get("name"), "arguments": arguments}, ensure_ascii=False)


def _with_tools(said: Sequence[Said], tools: Any) -> list[Said]:
    """The descriptions of tools at the end of the first system turn."""
    if isinstance(tools, str):
        try:
            tools = json.loads(tools) if tools.strip() else []
        except ValueError:
            tools = [tools]
    if not tools:
        return list(said)
    lines = [t if isinstance(t, str) else canonical_json(t) for t in _as_list(tools)]
    block = "\n".join(["Tools:", *lines])
    if said and said[0].role == "system":
        return [Said("system", f"{said[0].text}\n\n{block}"), *said[1:]]
    return [Said("system", block), *said]


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _joined(said: Sequence[Said]) -> tuple[list[Said], int]:
    """Turns with those of one role in a row made one, which chat templates ask for.

    Tools may answer several calls in a row. A system turn that says nothing is left out.
    """
    said = [turn for turn in said if turn.role != "system" or turn.text.strip()]
    found: list[Said] = []
    for turn in said:
        same = bool(found) and (found[-1].role, found[-1].weight) == (turn.role, turn.weight)
        if same and turn.role != "tool":
            found[-1] = turn._replace(text=f"{found[-1].text}\n\n{turn.text}")
        else:
            found.append(turn)
    return found, len(said) - len(found)


def _alpaca(cells: Mapping[str, Any]) -> list[Said]:
    """Turns of `instruction`, `input`, `output`, with `system` and `history` before them."""
    parts = [cell_text(cells.get(key, "")) for key in ("instruction", "input")]
    said = [Said("system", cell_text(cells["system"]))] if cells.get("system") else []
    history = cells.get("history") or []
    for pair in history if isinstance(history, list) else [history]:
        if not isinstance(pair, list) or len(pair) != 2:
            raise InputError("'history' is not a list of [question, answer]")
        said += [Said("user", cell_text(pair[0])), Said("assistant", cell_text(pair[1]))]
    said.append(Said("user", "\n\n".join(part for part in parts if part.strip())))
    return [*said, Said("assistant", cell_text(cells.get("output", "")))]
