"""What is asked of a cluster's primaries is asked of those that are primaries now."""

from pathlib import Path
from typing import Any

from redis_servers import cluster_servers

from memstream.streams.connections import connect, primaries


async def test_a_node_that_has_no_slots_any_more_is_not_asked(tmp_path: Path) -> None:
    async with cluster_servers(tmp_path) as servers:
        client: Any = connect(servers.url)
        try:
            assert len(await primaries(client)) == 3
            # What a node that was cut off answers about itself. Nothing that is asked of it as a server redirects.
            replica = servers.nodes[3]
            client._slots.note_move(0, (replica.host.address, replica.port))
            roles = [(await server.info("replication"))["role"] for server in await primaries(client)]
            assert roles == ["master"] * 3
        finally:
            await client.aclose()
