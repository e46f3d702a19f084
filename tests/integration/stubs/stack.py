"""A stack of stubs in the foreground: `stack.py HOME PORT_BASE MOODS`, MOODS as in `first=well,second=stubborn`."""

import asyncio
import os
import sys
from pathlib import Path
from random import Random

from memstream.contracts.stack import Stack
from memstream.local.stack import foreground
from memstream.local.stack.data_directory import DataDirectory, Keys, write_private
from memstream.local.stack.failure import CannotStart
from memstream.local.stack.local_stack import LocalStack
from memstream.local.stack.plan import Plan
from memstream.local.stack.process_spec import ProcessSpec, Stage
from memstream.local.stack.process_supervisor import Timeouts
from memstream.local.stack.readiness import http_probe
from memstream.runtime.clock import SystemClock

SERVER = Path(__file__).with_name("server.py")


def stages(directory: DataDirectory, port_base: int, moods: dict[str, str]) -> list[Stage]:
    """One stage a part; parts named `twin…` share a stage and a port."""

    def child(name: str, mood: str, port: int, *, share: bool) -> ProcessSpec:
        environment = {
            "NAME": name,
            "PORT": str(port),
            "MOOD": mood,
            "SHARE": str(int(share)),
            "EVENTS": str(directory.path / "events"),
        }
        argv = (sys.executable, str(SERVER))
        url = f"http://127.0.0.1:{port}"
        return ProcessSpec(name, argv, environment, port=port, probe=http_probe("/"), url=url, share_port=share)

    table: list[Stage] = [
        [child(name, mood, port_base + n, share=False)]
        for n, (name, mood) in enumerate(moods.items())
        if not name.startswith("twin")
    ]
    twins = [child(name, mood, port_base + 9, share=True) for name, mood in moods.items() if name.startswith("twin")]
    return [*table, twins] if twins else table


async def watch(stack: LocalStack, _running: Stack) -> None:
    foreground.say("ready")
    await stack.watch()


def main() -> None:
    directory, port_base = DataDirectory(Path(sys.argv[1])), int(sys.argv[2])
    moods = dict(pair.split("=") for pair in sys.argv[3].split(","))
    directory.create()
    write_private(directory.keys_file, Keys(api_key="key", admin_key="admin"))
    stack = LocalStack(
        Plan(directory=directory, port_base=port_base, model=os.environ.get("MODEL", "minilm")),
        environment=os.environ,
        clock=SystemClock(),
        rng=Random(7),  # noqa: S311 - jitter
        say=foreground.say,
        stages=stages(directory, port_base, moods),
        timeouts=Timeouts(ready=float(os.environ.get("READY", "90")), stop=float(os.environ.get("GRACE", "60"))),
    )
    try:
        asyncio.run(foreground.run(stack, watch))
    except CannotStart as error:
        sys.exit("\n".join([*error.log_tail, str(error)]))


if __name__ == "__main__":
    main()
