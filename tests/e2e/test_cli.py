"""The command line: what each command prints, and how it ends."""

from __future__ import annotations

import errno
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import typer

from command import call
from tutelage import Result, cli, errors

COMMANDS = ("run", "prepare", "baseline", "train", "evaluate", "report")
COMMANDS += ("show", "preview", "predict", "chat")


def ends_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Make the parser end in an error, as any command might."""

    def app(**_: Any) -> None:
        raise error

    monkeypatch.setattr(cli, "app", app)


# --- help ---


def test_help_lists_every_command() -> None:
    out = call("--help").expect(0).out
    for name in COMMANDS:
        assert f" {name} " in out
    assert "--debug" in out


def test_nothing_at_all_shows_the_help() -> None:
    done = call()
    assert "Usage" in done.out + done.err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str) -> None:
    assert "Usage" in call(name, "--help").expect(0).out


@pytest.mark.parametrize(
    "arguments", [["runn"], ["run"], ["run", "x", "--no-such"], ["preview", "x", "--rows", "0"]]
)
def test_what_cannot_be_parsed_is_a_usage_error(arguments: list[str]) -> None:
    done = call(*arguments).expect(2)
    assert "Usage" in done.err
    assert "Traceback" not in done.err


# --- how a command ends ---


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (errors.ConfigError("c.yaml:3: no"), 2, "c.yaml:3: no"),
        (errors.InputError("no"), 2, "no"),
        (errors.DataGateError("no"), 3, "no"),
        (errors.ResumeError("no"), 4, "no"),
        (errors.IntegrityError("no"), 5, "no"),
        (errors.StorageError("no"), 6, "no"),
        (errors.LockedError("no"), 7, "no"),
        (errors.NumericsError("no"), 8, "no"),
        (errors.OutOfMemoryError("no"), 9, "no"),
        (errors.Preempted("no"), 75, "no"),
        (OSError(errno.ENOSPC, "No space left on device", "/x/y"), 6, "/x/y: No space left on"),
        (OSError("odd"), 6, "odd. Check disk space and permissions."),
        (MemoryError(), 9, "Out of memory. Try --set training.micro_batch_tokens="),
        (KeyboardInterrupt(), 75, "Stopped. Run the same command to go on."),
        (typer.Abort(), 75, None),
        (RuntimeError("odd"), 1, "RuntimeError: odd. This is a fault of Tutelage; the same"),
    ],
)
def test_exit_codes(
    monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, says: str | None
) -> None:
    ends_with(monkeypatch, error)
    done = call("run", "x").expect(code)
    assert done.out == ""
    assert "Traceback" not in done.err
    if says is not None:
        assert done.err.startswith(f"tutelage: {says}")
        assert done.err.count("\n") == 1


@pytest.mark.parametrize("position", [0, 1, 2])
def test_debug_shows_where_it_happened(monkeypatch: pytest.MonkeyPatch, position: int) -> None:
    ends_with(monkeypatch, RuntimeError("odd"))
    arguments = ["run", "x"]
    arguments.insert(position, "--debug")
    monkeypatch.setattr(sys, "argv", ["tutelage", *arguments])
    with pytest.raises(RuntimeError, match="odd"):
        cli.main()


def test_debug_is_no_argument_of_a_command(tiny_run: Result) -> None:
    assert call("show", "--debug", tiny_run.path).expect(0).out


def test_no_terminal_codes_come_out_of_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    ends_with(monkeypatch, errors.InputError("cell '\x1b[31m\x07' is odd"))
    err = call("run", "x").expect(2).err
    assert not {"\x1b", "\x07"} & set(err)


# --- finished runs ---


def test_show(tiny_run: Result) -> None:
    out = call("show", tiny_run.path).expect(0).out
    assert tiny_run.verdict["sentence"] in out
    assert f"Report: {tiny_run.page}" in out
    for arm in tiny_run.arms.values():
        assert f"{arm['metrics']['accuracy']['value']:.3f}" in out
    assert json.loads(call("show", tiny_run.path, "--json").expect(0).out) == tiny_run.report


def test_show_what_is_no_run(tmp_path: Path) -> None:
    assert "no run is there" in call("show", tmp_path).expect(2).err


def test_a_finished_run_is_not_run_again(tiny_run: Result) -> None:
    for target in (tiny_run.path, tiny_run.path / "config.yaml"):
        done = call("run", target, "--out", tiny_run.path).expect(0)
        assert "is done; nothing to do. --new starts afresh." in done.out
        assert tiny_run.verdict["sentence"] in done.out
    assert "is done; nothing to do" in call("run", tiny_run.path).expect(0).out


@pytest.mark.parametrize("stage", ["prepare", "baseline", "train", "evaluate"])
def test_a_finished_stage_is_not_run_again(tiny_run: Result, stage: str) -> None:
    out = call(stage, tiny_run.path).expect(0).out
    assert out.startswith(f"{stage}: already done; nothing to do: {tiny_run.path}")


def test_other_settings_are_not_mixed_into_a_run(tiny_run: Result) -> None:
    done = call("run", tiny_run.path, "--set", "split.seed=9").expect(4)
    assert "split.seed: 0 there, 9 here" in done.err


def test_flags_and_bad_settings_are_reported_together(tiny_reviews_csv: Path) -> None:
    done = call("run", tiny_reviews_csv, "--set", "training.epoch=1", "--set", "x").expect(2)
    assert "--set x: write it as section.key=value." in done.err
    assert "Did you mean 'epochs'?" in done.err


# --- new rows ---


def test_predict_a_text(tiny_run: Result) -> None:
    label, probability = call("predict", tiny_run.path, "--text", "superb").expect(0).out.split()
    assert label in tiny_run.report["labels"]
    assert 1 / 3 <= float(probability) <= 1


def test_predict_a_file(tiny_run: Result, tmp_path: Path) -> None:
    source, out = tmp_path / "new.csv", tmp_path / "labelled.csv"
    source.write_text("review\nsuperb\nawful\n")
    written = call("predict", tiny_run.path, source).expect(0).out
    assert written.splitlines()[0] == "review,predicted,probability"
    assert call("predict", tiny_run.path, source, "--out", out).expect(0).out == f"Wrote {out}\n"
    assert out.read_text() == written


def test_predict_wants_a_text_or_a_file(tiny_run: Result, tmp_path: Path) -> None:
    for more in ([], [tmp_path / "new.csv", "--text", "x"]):
        assert "give either --text or a file" in call("predict", tiny_run.path, *more).expect(2).err


def test_preview_writes_nothing(
    tiny_reviews_csv: Path, tiny_model_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = ["--text", "review", "--label", "sentiment", "--model", tiny_model_dir, "--rows", 3]
    out = call("preview", tiny_reviews_csv, *map(str, flags)).expect(0).out
    assert out.count("  template sentiment/") == 3
    assert out.count("<|im_start|>assistant\n") == 3
    assert "trained tokens" in out
    assert list(tmp_path.iterdir()) == []


def test_chat_with_a_finished_run(tiny_run: Result) -> None:
    done = call("chat", tiny_run.path, stdin="superb\n/help\n/quit\n").expect(0)
    assert done.out.count("/base   switch to the untuned model") == 2
