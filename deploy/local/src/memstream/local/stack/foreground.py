"""A stack in the foreground of a terminal: a signal stops it in order, a second one at once."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

import typer

from memstream.contracts.stack import Stack
from memstream.local.stack.embedded import EmbeddedStack


async def run(stack: EmbeddedStack, work: Callable[[EmbeddedStack, Stack], Awaitable[None]]) -> bool:
    """Start a stack, work with it, stop it. Says whether the work came to its end, or a signal came first.

    Raises:
        CannotStart: it can't start; nothing is left running.

    """
    loop = asyncio.get_running_loop()
    working = asyncio.create_task(_within(stack, work))
    signalled = False

    def end() -> None:
        nonlocal signalled
        if signalled:
            # It is on its way out already; a second cancel would break off the orderly stop.
            stack.kill()
            return
        signalled = True
        working.cancel()

    caught = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        # Under nohup it outlives its terminal. SIGINT counts even where it was ignored, as in a shell's background job.
        caught.append(signal.SIGHUP)
    for number in caught:
        loop.add_signal_handler(number, end)
    try:
        await working
    except asyncio.CancelledError:
        if not signalled:
            raise
        return False
    finally:
        for number in caught:
            loop.remove_signal_handler(number)
    return True


async def _within(stack: EmbeddedStack, work: Callable[[EmbeddedStack, Stack], Awaitable[None]]) -> None:
    async with stack.running() as running:
        await work(stack, running)


def say(line: str) -> None:
    """Show a line. A screen that is gone is no reason to stop."""
    try:
        typer.echo(line)
    except OSError:
        return
