"""Connections to the primary that Sentinel names."""

from redis.asyncio.connection import BlockingConnectionPool
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool


class PrimaryPool(SentinelConnectionPool, BlockingConnectionPool):
    """Asks Sentinel for each new connection; a caller that finds all connections busy waits for one."""

    sentinel_manager: Sentinel

    async def aclose(self) -> None:
        """Close its connections, and those to the Sentinels."""
        await super().aclose()
        for sentinel in self.sentinel_manager.sentinels:
            await sentinel.aclose()
