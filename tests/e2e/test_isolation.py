"""Nobody sees anything of another: random requests of random users against a model (`python -m isolation` has more)."""

from pathlib import Path

from isolation.__main__ import run


async def test_no_answer_metric_or_log_tells_of_another(tmp_path: Path) -> None:
    # Some find nothing to ask about, and others have to be followed up: how many depends on the moment.
    report = await run(tmp_path, requests=192, seed=1)

    assert report.violations == []
    assert report.requests.total() > 160


async def test_an_answer_that_tells_of_another_is_noticed(tmp_path: Path) -> None:
    report = await run(tmp_path, requests=160, seed=1, mix_up=True)

    assert any("finds" in violation or "timeline lacks" in violation for violation in report.violations)
    assert any("which somebody else said" in violation for violation in report.violations)
