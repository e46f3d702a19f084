"""What is in Qdrant once everything that waited is done."""

from collections import Counter
from typing import Any

import httpx
from waiting import until

from machines.estate import Estate
from memstream.contracts import keys
from memstream.runtime.errors import Unavailable
from memstream.streams.backlog import backlog

_PAGE = 5_000


async def worked_off(estate: Estate) -> None:
    """Wait until no entry waits."""

    async def nothing_waits() -> bool:
        try:
            streams = [keys.stream(number, lane) for number in range(estate.partitions) for lane in keys.LANES]
            return sum([await backlog(estate.parts.redis, stream) for stream in streams]) == 0
        except Unavailable:
            return False

    await until(nothing_waits, "the backlog is worked off")


async def points(estate: Estate) -> Counter[str]:
    """Count the points of every message, as the nodes that run have them."""
    copies: Counter[str] = Counter()
    body: dict[str, Any] = {"limit": _PAGE, "with_payload": ["message_id"]}
    path = f"/collections/{estate.parts.plan.collection}/points/scroll"
    async with httpx.AsyncClient(base_url=estate.urls["qdrant"], timeout=30) as qdrant:
        while True:
            result = (await qdrant.post(path, json=body)).raise_for_status().json()["result"]
            copies.update(point["payload"]["message_id"] for point in result["points"] if point["payload"])
            if result["next_page_offset"] is None:
                return copies
            body["offset"] = result["next_page_offset"]
