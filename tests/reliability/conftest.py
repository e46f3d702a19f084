"""How many runs, and from which seed on."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the caller choose the seeds: `python -m pytest tests/reliability --seed 7 --runs 20`."""
    parser.addoption("--seed", type=int, default=1, help="seed of the first run")
    parser.addoption("--runs", type=int, default=1, help="number of runs, each with the next seed")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that asks for a seed once for each."""
    if "seed" in metafunc.fixturenames:
        # Asked for the whole of the tests, pytest reads this file too late for its options.
        first = metafunc.config.getoption("--seed", 1)
        metafunc.parametrize("seed", range(first, first + metafunc.config.getoption("--runs", 1)))
