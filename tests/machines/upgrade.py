"""All services are replaced under load, one after the other, by those of this source; no request may fail."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

from reliability.release import unpack_previous
from waiting import until

from machines.estate import EACH, Estate
from machines.load import Load
from machines.outcome import points, worked_off
from machines.tries import milliseconds, unexpected

SERVICES = ("embedder", "retriever", "ingest")
_BETWEEN = 200
"""Requests answered before the next process is replaced."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What came of it."""

    replaced: int
    """Processes."""
    accepted: int
    searched: int
    told_to_wait: int
    """Answers of 503 with Retry-After."""
    lost: int
    twice: int
    strangers: int
    unexpected: dict[str, int] = field(default_factory=dict)
    """Requests by what became of them, if neither answered nor told to wait."""
    message_milliseconds: float = 0.0
    search_milliseconds: float = 0.0

    @property
    def is_kept(self) -> bool:
        """Nothing failed, and nothing is lost, doubled or mixed up."""
        return self.lost + self.twice + self.strangers == 0 and not self.unexpected

    def text(self) -> str:
        """Tell it."""
        return "\n".join(f"{name:22} {value}" for name, value in asdict(self).items())


async def previous(folder: Path) -> str | None:
    """Return the PYTHONPATH of the last release's services; None if this repository does not have it."""
    return await unpack_previous(folder, services=SERVICES)


def as_of(previous: str, primary: str) -> dict[str, dict[str, str]]:
    """Return the settings, by service, with which the last release runs: it knows one Redis, and its disk alone."""
    return {
        service: {
            "PYTHONPATH": previous,
            f"MEMSTREAM_{service.upper()}_REDIS_URL": primary,
            **({"MEMSTREAM_INGEST_DURABILITY": "fsync"} if service == "ingest" else {}),
        }
        for service in SERVICES
    }


async def upgrade(estate: Estate, load: Load) -> Figures:
    """Put the load on, and replace every process of a service by one of this source, with the settings for it."""
    async with load.running():
        await _goes_on(load)
        for service in SERVICES:
            for number in range(1, EACH + 1):
                name = f"{service}-{number}"
                estate.settings[name] = estate.current[name]
                await estate.parts.stop(name)
                await estate.parts.start(name)
                await _goes_on(load)
    await worked_off(estate)
    copies = await points(estate)
    return Figures(
        replaced=EACH * len(SERVICES),
        accepted=len(load.accepted),
        searched=load.answered("search"),
        told_to_wait=sum(one.is_expected and not one.is_answered for one in load.tries),
        lost=len(load.accepted.keys() - copies.keys()),
        twice=sum(number > 1 for number in copies.values()),
        strangers=len(load.strangers),
        unexpected=dict(unexpected(load.tries)),
        message_milliseconds=round(milliseconds(load.tries, "message"), 1),
        search_milliseconds=round(milliseconds(load.tries, "search"), 1),
    )


async def _goes_on(load: Load) -> None:
    messages, searches = load.answered("message"), load.answered("search")
    await until(
        lambda: load.answered("message") > messages + _BETWEEN and load.answered("search") > searches + _BETWEEN / 4,
        "messages are accepted and searches answered",
    )
