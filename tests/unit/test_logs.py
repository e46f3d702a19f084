"""What is logged of an exception: where it was raised, and not a word of what it says."""

import asyncio
import io
import logging
import sys
from collections.abc import Iterator

import pytest

from memstream.runtime.telemetry import TextlessFormatter, configure_logging

MARK = "xylophone"


@pytest.fixture
def logged() -> Iterator[io.StringIO]:
    """Collect what is logged as the services log it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextlessFormatter("%(name)s: %(message)s"))
    root = logging.getLogger()
    before, root.handlers = root.handlers, [handler]
    yield stream
    root.handlers = before


def refuse() -> None:
    raise ValueError(f"can't embed {MARK}")


def refuse_all() -> None:
    raise ExceptionGroup(MARK, [ValueError(MARK), OSError(MARK)])


def test_an_exception_is_logged_without_its_text(logged: io.StringIO) -> None:
    try:
        try:
            refuse()
        except ValueError as error:
            raise KeyError(MARK) from error
    except KeyError:
        logging.getLogger("service").exception("no outcome for %d messages", 3)

    text = logged.getvalue()
    assert MARK not in text
    assert "no outcome for 3 messages" in text
    assert text.index("ValueError") < text.index("builtins.KeyError")
    assert "in refuse" in text


def test_exceptions_of_a_group_are_named(logged: io.StringIO) -> None:
    try:
        refuse_all()
    except ExceptionGroup:
        logging.getLogger("service").exception("tasks failed")

    assert MARK not in logged.getvalue()
    assert "ValueError" in logged.getvalue()
    assert "OSError" in logged.getvalue()


async def test_a_task_that_nobody_waits_for_tells_no_text(logged: io.StringIO) -> None:
    async def failing() -> None:
        refuse()

    task = asyncio.create_task(failing())
    await asyncio.wait([task])
    context = {"message": "Task exception was never retrieved", "exception": task.exception(), "future": task}
    asyncio.get_running_loop().call_exception_handler(context)

    assert "never retrieved" in logged.getvalue()
    assert MARK not in logged.getvalue()


def test_the_end_of_a_process_tells_no_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    root = logging.getLogger()
    before = root.handlers
    try:
        configure_logging("ingest", "INFO")
        error = ValueError(MARK)
        sys.excepthook(ValueError, error, None)
    finally:
        root.handlers = before

    told = capsys.readouterr().err
    assert "the process ends" in told
    assert MARK not in told
