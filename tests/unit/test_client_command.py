"""Which commands there are, and how they are imported."""

from collections.abc import Callable
from importlib.metadata import EntryPoint

import pytest

from memstream.client import command
from memstream.client.command import application
from memstream.client.command.failure import Failure


def cheer() -> None:
    """Say hooray."""
    raise Failure("hooray,\nsays the newcomer", exit_code=9)


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "rich" else object())

    with pytest.raises(SystemExit) as stopped:
        command.main()

    assert stopped.value.code == "memstream: the command needs its extra: pip install 'memstream-client[command]'"


def test_another_distribution_joins_through_an_entry_point(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    joined = EntryPoint("cheer", f"{__name__}:cheer", application.ENTRY_POINT_GROUP)
    monkeypatch.setattr(
        application, "entry_points", lambda group: [joined] if group == application.ENTRY_POINT_GROUP else []
    )
    monkeypatch.setattr(EntryPoint, "load", lambda _self: cheer)

    assert application.run(["--help"], {}) == 0
    assert "Say hooray." in capsys.readouterr().out
    assert application.run(["cheer"], {}) == 9
    assert capsys.readouterr().err == "memstream: hooray, says the newcomer\n"


def test_only_the_named_command_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    def unwanted(_self: EntryPoint) -> Callable[[], None]:
        raise AssertionError("nobody asked for it")

    joined = EntryPoint("cheer", f"{__name__}:cheer", application.ENTRY_POINT_GROUP)
    monkeypatch.setattr(
        application, "entry_points", lambda group: [joined] if group == application.ENTRY_POINT_GROUP else []
    )
    monkeypatch.setattr(EntryPoint, "load", unwanted)

    assert application.run(["status", "--help"], {}) == 0


def test_the_former_name_of_delete_works_and_is_not_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert application.run(["forget", "--help"], {}) == 0
    assert "Delete one message, or everything" in capsys.readouterr().out
    assert application.run(["--help"], {}) == 0
    commands = capsys.readouterr().out
    assert "delete" in commands
    assert "forget" not in commands
