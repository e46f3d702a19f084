"""Which runs are made, on which installation, and what is reported of them."""

import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict
from pathlib import Path

import pytest
import pytest_asyncio
from reliability.history import History
from reliability.release import unpack_previous
from reliability.report import Outcome, Report
from reliability.runs import still_true
from reliability.site import Site, running

SHORT_SET = 7
"""Runs that have every kind of fault, from any seed on (`test_plans.py` says so)."""
_BIG_EVERY = 50
_RUNS_ON_A_SITE = 20

Start = Callable[[Path], contextlib.AbstractAsyncContextManager[Site]]
"""Starts an installation in a folder."""

_outcomes = pytest.StashKey[list[Outcome]]()
_OUTCOME = "outcome"
"""Name under which a test's report describes its run; a report also comes from another process (`-n 3`)."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the caller choose the seeds: `python -m pytest tests/reliability --seed 7 --runs 20`."""
    parser.addoption("--seed", type=int, default=1, help="seed of the first run")
    parser.addoption("--runs", type=int, default=SHORT_SET, help="number of runs, each with the next seed")
    parser.addoption(
        "--plan", choices=("mixed", "erasure", "machines"), default="mixed", help="what the runs are about"
    )
    parser.addoption("--old", help="revision whose embedder runs beside the new one (the last release)")
    parser.addoption("--report", type=Path, help="file for the figures as JSON; the text is put beside it, as .txt")
    parser.addoption("--kept", type=Path, help="folder for history and logs of runs that fail (build/reliability)")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for a seed once for each; one that asks for the seed of a big run, for every fiftieth.

    Where the plan is about erasures or machines, all seeds are those of such runs; else every fiftieth is one about
    erasures, too.
    """
    # Asked for the whole of the tests, pytest reads this file too late for its options.
    first, runs = metafunc.config.getoption("--seed", 1), metafunc.config.getoption("--runs", SHORT_SET)
    seeds = range(first, first + runs)
    plan = metafunc.config.getoption("--plan", "mixed")
    some = seeds[::_BIG_EVERY] if plan == "mixed" else ()
    drawn = {
        "seed": seeds if plan == "mixed" else (),
        "big_seed": some,
        "erasure_seed": seeds if plan == "erasure" else some,
        "machine_seed": seeds if plan == "machines" else (),
    }
    for name, chosen in drawn.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, chosen)


class _Collecting:
    """Keeps what the reports of tests contain of their runs."""

    def __init__(self, outcomes: list[Outcome]) -> None:
        self._outcomes = outcomes

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Reader through the report of a test that was called."""
        if report.when == "call":
            self._outcomes += [Outcome(**figures) for name, figures in report.user_properties if name == _OUTCOME]  # type: ignore[arg-type]


def pytest_configure(config: pytest.Config) -> None:
    """Collect the outcomes of all runs."""
    config.pluginmanager.register(_Collecting(config.stash.setdefault(_outcomes, [])))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell the figures, and write them to the file that was asked for."""
    outcomes = config.stash.get(_outcomes, [])
    if outcomes:
        report = Report(outcomes)
        terminalreporter.section("reliability")
        terminalreporter.write(report.text())
        path = config.getoption("--report", None)
        if path is not None:
            report.write(path)


class Sites:
    """Lends an installation that is used for many runs, and replaced after a failure or when it has grown old."""

    def __init__(self, folder: Path, kept: Path, old: str | None, start: Start = running) -> None:
        self.kept = kept
        self._start = start
        self._folder = folder
        self._old = old
        self._changed_later: list[str] = []
        self._site: Site | None = None
        self._open = contextlib.AsyncExitStack()
        self._lent = 0
        self._started = 0
        self._histories: list[History] = []

    async def lend(self) -> Site:
        """Return a site whose faults are repaired."""
        if self._site is not None and self._lent % _RUNS_ON_A_SITE == 0:
            self._changed_later = await self.changed_later()
            await self.give_up()
        if self._site is None:
            # One that did not start leaves its folder behind.
            self._started += 1
            folder = self._folder / f"site-{self._started}"
            self._site = await self._open.enter_async_context(self._start(folder))
            self._site.old_path = await unpack_previous(folder / "previous", self._old)
        self._lent += 1
        return self._site

    def held(self, history: History) -> None:
        """Remember a run that the promise held in, to be looked at again when others have gone over it."""
        self._histories.append(history)

    async def changed_later(self) -> list[str]:
        """Validate all runs by what is in Qdrant once others have gone over them, and return what holds no longer."""
        found = list(self._changed_later)
        if self._site is not None:
            for history in self._histories:
                found += await still_true(history, self._site)
        return found

    async def give_up(self) -> None:
        """End the site."""
        self._site = None
        self._histories.clear()
        await self._open.aclose()


@pytest_asyncio.fixture(scope="module")
async def sites(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sites]:
    """Keep an installation over the runs of a module."""
    async with lending(request.config, tmp_path_factory, running) as lender:
        yield lender


@contextlib.asynccontextmanager
async def lending(config: pytest.Config, folders: pytest.TempPathFactory, start: Start) -> AsyncIterator[Sites]:
    """Lend installations that are started so."""
    kept = config.getoption("--kept", None) or config.rootpath / "build" / "reliability"
    lender = Sites(folders.mktemp("reliability"), kept, config.getoption("--old", None), start)
    yield lender
    try:
        changed = await lender.changed_later()
    finally:
        await lender.give_up()
    assert changed == [], "later runs changed what earlier ones left"


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[Outcome], None]:
    """Put what came of a run into the test's report."""

    def put(outcome: Outcome) -> None:
        request.node.user_properties.append((_OUTCOME, asdict(outcome)))

    return put
