"""A stack in the foreground of a terminal: the first signal stops it in order, a second one kills it."""

import asyncio
import signal
from collections.abc import Awaitable, Callable

import typer

from memstream.contracts.stack import Stack
from memstream.local.stack.local_stack import LocalStack


async def run(stack: LocalStack, work: Callable[[LocalStack, Stack], Awaitable[None]]) -> bool:
    """Start a stack, do the work, stop the stack. Return whether the work was completed, and not ended by a signal.

    Raises:
        CannotStart: the stack can't start; nothing is left running.

    """
    loop = asyncio.get_running_loop()
    working = asyncio.create_task(_within(stack, work))
    signalled = False

    def end() -> None:
        nonlocal signalled
        if signalled:
            # It is stopping already, and a second cancel would interrupt that.
            stack.kill()
            return
        signalled = True
        working.cancel()

    caught = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        # Under nohup the stack outlives its terminal. SIGINT is handled even if it was ignored, as in a background job.
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


async def _within(stack: LocalStack, work: Callable[[LocalStack, Stack], Awaitable[None]]) -> None:
    async with stack.running() as running:
        await work(stack, running)


def say(line: str) -> None:
    """Print a line. A terminal that is gone is no reason to stop."""
    try:
        typer.echo(line)
    except OSError:
        return
