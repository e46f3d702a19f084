"""The README is executed: its commands as they stand there, and its Python."""

import asyncio
import os
import re
import sys
import textwrap
from pathlib import Path

import pytest
from running_stack import RunningStack

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
CONSOLE = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
POSITION = re.compile(r"\d+\.live\.\d+-\d+")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


def commands(block: str) -> list[tuple[str, str]]:
    """Give a block's commands, each with the output that stands below it."""
    parts = re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


def shape(output: str) -> str:
    """Give an output without what differs from run to run: numbers, times, and how a table was broken."""
    return " ".join(re.sub(r"[\d.]+([:-][\d.]+)*", "#", output).split())


async def run(script: str, home: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        *("bash", "-euc", script),
        cwd=home,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "COLUMNS": "80"},
    )
    output, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return output.decode()


@pytest.fixture
def checkout(stack: RunningStack, tmp_path: Path) -> Path:
    """Make a folder that looks like a checkout in which `make up` runs."""
    for name in (".venv", "deploy", "Makefile", "requirements"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / ".memstream").symlink_to(stack.home)
    return tmp_path


def test_its_first_commands_are_targets_of_the_makefile() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

    first = [command.split() for command, _ in commands(CONSOLE[0])]

    assert first == [["make", "demo"], ["make", "test"]]
    assert {"demo", "test"} <= set(targets)


def test_every_make_command_in_it_is_a_target() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))

    assert set(re.findall(r"`make (\w+)", README)) <= targets


async def test_the_commands_of_its_example_print_what_it_says(stack: RunningStack, checkout: Path) -> None:
    example = CONSOLE[1:]
    key = ""
    elsewhere = {"localhost:8100": stack.info.ingest_url, "localhost:8101": stack.info.retriever_url}
    for command, printed in [one for block in example for one in commands(block)]:
        if command.startswith("KEY="):
            key = command
            continue
        script = command
        for printed_there, here in elsewhere.items():
            script = script.replace(printed_there, here)

        output = await run(f"{key}\n{script}", checkout)
        elsewhere |= dict(zip(POSITION.findall(printed), POSITION.findall(output), strict=True))

        assert shape(output) == shape(printed), command


async def test_its_python_runs(stack: RunningStack) -> None:
    (code,) = PYTHON
    names = {"INGEST_URL": stack.info.ingest_url, "RETRIEVER_URL": stack.info.retriever_url, "KEY": stack.info.api_key}
    constants = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    script = f"import asyncio\n{constants}async def main():\n{textwrap.indent(code, '    ')}\nasyncio.run(main())\n"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()

    assert output.decode() == "The spare key is under the third flower pot.\n"


def test_the_files_it_points_to_are_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_tests_it_names_are_there() -> None:
    for name in re.findall(r"`(tests/[^`]+)`", README):
        assert list(ROOT.glob(name)), name
