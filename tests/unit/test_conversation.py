"""Ready-made instruction data: turns, prompt and answer of every common form."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tutelage.errors import DataGateError, InputError
from tutelage.records import Turn
from tutelage.tasks.conversation import Conversation, read_conversation
from tutelage.tasks.rows import Rows, load_rows
from tutelage.tasks.schema import TaskSpec


def _turns(*turns: tuple[str, str]) -> list[dict[str, Any]]:
    return [{"role": role, "content": content} for role, content in turns]


MESSAGES = _turns(
    ("system", "Be brief."),
    ("user", "Hi"),
    ("assistant", "Hello."),
    ("user", "2+2?"),
    ("assistant", "4"),
)


def _read(messages: Any, *, train_all: bool = False, **cells: Any) -> Conversation:
    return read_conversation({"messages": messages, **cells}, "openai", train_all=train_all)


def _rows(folder: Path, records: list[dict[str, Any]], **task: Any) -> Rows:
    path = folder / "data.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in records))
    source = {"path": str(path), "format": task.pop("format", "auto")}
    return load_rows(TaskSpec.model_validate({"name": "toy", "source": source, **task}))


# --- conversations ---


def test_the_last_answer_and_what_stands_before_it() -> None:
    assert _read(MESSAGES) == Conversation(
        (Turn("system", "Be brief."), Turn("user", "Hi"), Turn("assistant", "Hello.")),
        "2+2?",
        ("4",),
    )
    trained = _read(MESSAGES, train_all=True).turns
    assert [turn.trained for turn in trained] == [False, False, True]


def test_turns_of_weight_nothing_are_never_trained() -> None:
    messages = [dict(turn) for turn in MESSAGES]
    messages[2]["weight"] = 0
    assert not any(turn.trained for turn in _read(messages, train_all=True).turns)
    messages[4]["weight"] = 0
    with pytest.raises(InputError, match="empty answer"):
        _read(messages)
    messages[2]["weight"] = 1
    found = _read(messages)
    assert (found.prompt, found.answers, found.unused) == ("Hi", ("Hello.",), 2)


@pytest.mark.parametrize(
    ("keys", "roles"),
    [
        (("from", "value"), ("system", "human", "gpt")),
        (("role", "content"), ("developer", "user", "assistant")),
        (("from", "text"), ("System", "Human", "ChatGPT")),
        (("speaker", "value"), ("system", "prompter", "model")),
    ],
)
def test_keys_and_roles_of_others(keys: tuple[str, str], roles: tuple[str, str, str]) -> None:
    said = [dict(zip(keys, pair, strict=True)) for pair in zip(roles, "sqa", strict=True)]
    found = read_conversation({"conversations": said}, "sharegpt", train_all=False)
    assert found == Conversation((Turn("system", "s"),), "q", ("a",))


def test_tools_and_their_calls_are_kept() -> None:
    call = {"type": "function", "function": {"name": "add", "arguments": '{"a": 2, "b": "é"}'}}
    tool = {"type": "function", "function": {"name": "add", "parameters": {}}}
    messages = [
        {"role": "user", "content": "2+2?"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "1", "content": "4"},
        {"role": "tool", "tool_call_id": "2", "content": {"b": 1, "a": 2}},
        {"role": "assistant", "content": "It is 4."},
    ]
    found = _read(messages, tools=[tool], train_all=True)
    assert found.turns == (
        Turn("system", f"Tools:\n{json.dumps(tool, separators=(',', ':'), sort_keys=True)}"),
        Turn("user", "2+2?"),
        Turn("assistant", '{"name": "add", "arguments": {"a": 2, "b": "é"}}', True),
        Turn("tool", "4"),
        Turn("tool", '{"a":2,"b":1}'),
    )
    assert (found.prompt, found.answers) == ("", ("It is 4.",))
    first = _read(messages[:2])
    assert first.answers == ('{"name": "add", "arguments": {"a": 2, "b": "é"}}',)
    with_system = _read([*_turns(("system", "s")), *messages[:2]], functions=[tool])
    assert with_system.turns[0].content.startswith("s\n\nTools:\n{")


def test_parts_of_text_and_turns_in_a_row_are_joined() -> None:
    messages = [
        {"role": "system", "content": ""},
        {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d"},
        {"role": "user", "content": "bye"},
    ]
    assert _read(messages) == Conversation((), "a\nb\n\nc", ("d",), joined=1, unused=1)


@pytest.mark.parametrize(
    ("messages", "says"),
    [
        ([], "'messages' is not a list of turns"),
        ("hello", "'messages' is not a list of turns"),
        ("[", "is text, but not a JSON list"),
        (["x"], "turn 0 of 'messages' is not an object"),
        (_turns(("usr", "x")), "turn 0 has the unknown role 'usr' Did you mean 'user'"),
        ([{"content": "x"}], "turn 0 has the unknown role None"),
        (_turns(("user", "x")), "empty answer"),
        (_turns(("user", "x"), ("assistant", " ")), "empty answer"),
        (_turns(("assistant", "x")), "no user turn before the answer"),
        (_turns(("system", "s"), ("assistant", "x")), "no user turn before the answer"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "turn 0 holds image_url"),
    ],
)
def test_conversations_that_teach_nothing(messages: Any, says: str) -> None:
    with pytest.raises(InputError) as caught:
        _read(messages)
    assert says in str(caught.value)


# --- as rows ---


def test_openai_rows(tmp_path: Path) -> None:
    records = [{"messages": MESSAGES}, {"messages": _turns(("user", "x"))}, {"messages": MESSAGES}]
    found = _rows(tmp_path, records, loss_on="all")
    row = found.rows[0]
    assert (row.fields, row.label, row.answers) == ({"prompt": "2+2?"}, "4", ("4",))
    assert [turn.trained for turn in row.turns] == [False, False, True]
    assert found.kind == "text"
    assert (found.labels, found.fields) == ((), {"prompt": "messages"})
    assert [(s.where, s.reason.partition(":")[0]) for s in found.skipped] == [
        ("data.jsonl:2", "empty answer")
    ]
    assert found.notes[0].startswith("format: openai, because the first row has 'messages'")
    assert [row.id for row in found.rows] == ["1", "3"]


def test_alpaca_rows(tmp_path: Path) -> None:
    records = [
        {"instruction": "Add.", "input": "2 2", "output": "4"},
        {
            "instruction": "Again.",
            "input": "",
            "output": "5",
            "system": "s",
            "history": [["q", "a"]],
        },
        {"instruction": "Nothing.", "output": ""},
    ]
    found = _rows(tmp_path, records)
    assert [row.fields["prompt"] for row in found.rows] == ["Add.\n\n2 2", "Again."]
    assert found.rows[1].turns == (Turn("system", "s"), Turn("user", "q"), Turn("assistant", "a"))
    assert len(found.skipped) == 1
    assert found.notes[0].startswith("format: alpaca")


@pytest.mark.parametrize(
    ("prompt", "completion"),
    [("prompt", "completion"), ("inputs", "targets"), ("prompt", "response")],
)
def test_pairs(tmp_path: Path, prompt: str, completion: str) -> None:
    records = [{prompt: f"q{i}", completion: f"a{i}", "n": i} for i in range(3)]
    found = _rows(tmp_path, [*records, {prompt: "q", completion: ""}])
    assert [(row.fields, row.answers) for row in found.rows] == [
        ({"prompt": f"q{i}"}, (f"a{i}",)) for i in range(3)
    ]
    assert [s.reason for s in found.skipped] == ["empty answer"]
    assert found.notes[0].startswith("format: pairs")


def test_pairs_of_turns(tmp_path: Path) -> None:
    records = [{"prompt": MESSAGES[:4], "completion": MESSAGES[4:]}]
    for form in ("auto", "pairs"):
        found = _rows(tmp_path, records, format=form)
        row = found.rows[0]
        assert (row.fields, row.label, len(row.turns)) == ({"prompt": "2+2?"}, "4", 3)
        assert found.fields == {"prompt": "prompt"}


def test_pairs_under_ones_own_names(tmp_path: Path) -> None:
    records = [{"ask": "q", "good": ["a", "b"], "prompt": "no"}]
    fields = {"prompt": "ask"}
    found = _rows(tmp_path, records, format="pairs", fields=fields, answer="good")
    assert found.rows[0].fields == {"prompt": "q"}
    assert found.rows[0].answers == ("a", "b")
    with pytest.raises(InputError, match=r"no pairs of prompt and completion.*task\.answer"):
        _rows(tmp_path, [{"x": "q", "y": "a"}], format="pairs")


def test_a_table_that_names_its_columns_is_a_table(tmp_path: Path) -> None:
    records = [
        {"prompt": f"q{i}", "completion": "xy"[i % 2], "label": "ab"[i % 2]} for i in range(4)
    ]
    assert _rows(tmp_path, records).labels == ("a", "b")
    found = _rows(tmp_path, records, label="completion", labels=["x", "y"])
    assert found.kind == "classification"


def test_nothing_but_bad_conversations(tmp_path: Path) -> None:
    with pytest.raises(DataGateError, match=r"no row is left: 2 no user turn before the answer"):
        _rows(tmp_path, [{"messages": _turns(("assistant", "x"))}] * 2)
