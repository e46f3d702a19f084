"""Which node of a cluster has which slot, as far as this process knows."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import redis.asyncio
import redis.exceptions

Redis = redis.asyncio.Redis

Address = tuple[str, int]

_PATIENCE = 1.0
"""Seconds until the next node is asked."""


class Slots:
    """The nodes of a cluster by slot, read from any node that answers, and again after `forget`."""

    def __init__(self, seeds: Sequence[Address], open_node: Callable[[str, int], Redis]) -> None:
        self._seeds = list(seeds)
        self._open_node = open_node
        self._clients: dict[Address, Redis] = {}
        self._owners: dict[int, Address] = {}
        self._is_known = False
        self._reading = asyncio.Lock()

    def node(self, host: str, port: int) -> Redis:
        """Return the client of a node."""
        client = self._clients.get((host, port))
        if client is None:
            client = self._clients[host, port] = self._open_node(host, port)
        return client

    async def node_of(self, slot: int) -> Redis:
        """Return the client of the node that has a slot.

        Raises:
            redis.exceptions.ConnectionError: no node answers, or none has the slot.

        """
        await self._know()
        owner = self._owners.get(slot)
        if owner is None:
            self.forget()
            raise redis.exceptions.ConnectionError(f"no node of the cluster has slot {slot}")
        return self.node(*owner)

    async def primaries(self) -> list[Redis]:
        """Return the clients of the nodes that have slots.

        Raises:
            redis.exceptions.ConnectionError: no node answers.

        """
        await self._know()
        return [self.node(*address) for address in dict.fromkeys(self._owners.values())]

    def note_move(self, slot: int, owner: Address) -> None:
        """Note what a node has answered."""
        self._owners[slot] = owner

    def forget(self) -> None:
        """Read anew before the next command which node has what."""
        self._is_known = False

    async def aclose(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.aclose()

    async def _know(self) -> None:
        while not self._is_known:
            async with self._reading:
                if not self._is_known:
                    self._owners = await self._ask()
                    self._is_known = True

    async def _ask(self) -> dict[int, Address]:
        fault: Exception | None = None
        for host, port in self._addresses():
            try:
                async with asyncio.timeout(_PATIENCE):
                    answer = await self.node(host, port).execute_command("CLUSTER", "SLOTS")  # type: ignore[no-untyped-call] # the library's
            except (redis.exceptions.RedisError, OSError) as error:
                fault = error
            else:
                if answer:
                    # Another one is asked next time: one that was cut off knows nothing new.
                    self._seeds.append(self._seeds.pop(0))
                    return _owners(answer, host)
                fault = redis.exceptions.ConnectionError(f"{host}:{port} knows of no slots: is it a cluster?")
        raise redis.exceptions.ConnectionError(f"no node of the cluster answers: {fault}") from fault

    def _addresses(self) -> Iterable[Address]:
        """Return whom to ask: the nodes of the URL, and all that were met since."""
        return dict.fromkeys([*self._seeds, *self._owners.values(), *self._clients])


def _owners(answer: Sequence[Any], asked: str) -> dict[int, Address]:
    """Read the answer to CLUSTER SLOTS. A node that doesn't know its own name is where it was asked."""
    found: dict[int, Address] = {}
    for first, last, (host, port, *_), *_ in answer:
        name = host.decode() if isinstance(host, bytes) else host
        owner = (asked if name in {None, "", "?"} else name, int(port))
        found |= dict.fromkeys(range(int(first), int(last) + 1), owner)
    return found
