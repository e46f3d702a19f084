"""Ask as random users of several tenants, and compare all answers with a model: `python -m isolation --requests N`.

No hit, count, state, receipt, error or log line may tell of another's messages. Exits with 1 if one does.
"""

import argparse
import asyncio
import contextlib
import sys
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import numpy as np
from installation import Installation, installed

from isolation.owners import ModelOwner, marks_in
from isolation.requests import Report, Requests
from memstream.web.credentials import Credential, new_key, store_key

_TENANTS, _USERS = 4, 8
_PARTS = ("ingest-1", "embedder-1", "retriever-1", "qdrant", "embeddings", "redis")


async def run(folder: Path, requests: int, seed: int, *, mix_up: bool = False) -> Report:
    """Make so many requests on a stack in a folder.

    With `mix_up`, two users of a name have the key of one tenant, so that there is something to be found wrong.
    """
    async with installed(Installation(folder)) as parts:
        await parts.start("redis", "qdrant", "embeddings")
        await parts.start("keys")
        tenant_keys = {f"tenant-{number}": new_key() for number in range(_TENANTS)}
        for tenant, key in tenant_keys.items():
            await store_key(parts.redis, key, Credential(tenant))
        await parts.start("ingest-1", "embedder-1", "retriever-1")
        owners = [
            ModelOwner(number, f"tenant-{number % _TENANTS}", f"user-{number // _TENANTS}", "")
            for number in range(_TENANTS * _USERS)
        ]
        for owner in owners:
            owner.key = tenant_keys[owner.tenant]
            if owner.number >= len(owners) // 2:
                owner.key = await _key_of_user(parts, owner)
                owner.is_bound = True
        if mix_up:
            # Those with keys of tenants: with one of another user they would be refused.
            for one, other in zip(owners[: len(owners) // 2 : 2], owners[1 : len(owners) // 2 : 2], strict=False):
                one.key = other.key
        async with parts.client("ingest-1", key="none") as ingest, parts.client("retriever-1", key="none") as retriever:
            asked = Requests(ingest, retriever, owners)
            async with asyncio.TaskGroup() as tasks:
                for owner in owners:
                    share = -(-requests // len(owners))
                    tasks.create_task(_ask_as(owner, asked, share, Random(f"{seed} {owner.number}")))  # noqa: S311
            for name, client in (("ingest", ingest), ("retriever", retriever)):
                metrics = (await client.get("/metrics")).text
                asked.report.violations += [f"metrics of {name}: {mark}" for mark in marks_in(metrics)]
        for name in _PARTS:
            with contextlib.suppress(FileNotFoundError):
                asked.report.violations += [f"log of {name}: {mark}" for mark in marks_in(parts.log(name))]
        return asked.report


async def _key_of_user(parts: Installation, owner: ModelOwner) -> str:
    body = {"tenant": owner.tenant, "user_id": owner.user}
    async with parts.client("ingest-1", key=parts.info.admin_key) as operator:
        created = (await operator.post("/v1/admin/keys", json=body)).raise_for_status().json()
    return str(created["key"])


async def _ask_as(owner: ModelOwner, asked: Requests, number: int, rng: Random) -> None:
    for _ in range(number):
        await asked.ask(owner, rng)


def _print(report: Report) -> None:
    for request, number in sorted(report.requests.items()):
        sys.stdout.write(f"{number:8} {request}\n")
    sys.stdout.write(f"{report.requests.total():8} requests, {len(report.violations)} violations\n")
    sys.stdout.writelines(f"  {violation}\n" for violation in report.violations[:50])
    if report.of_another and report.of_nobody:
        of_another, of_nobody = np.array(report.of_another), np.array(report.of_nobody)
        longer = (of_another > of_nobody).mean()
        sys.stdout.write(
            f"looking up a message that another tenant has: {1e3 * np.median(of_another):.2f} ms, that nobody has: "
            f"{1e3 * np.median(of_nobody):.2f} ms; the former takes longer in {longer:.1%} of {len(of_nobody)} pairs "
            f"(by chance: 50% ± {1e2 / np.sqrt(len(of_nobody)):.1f}%)\n"
        )


def main() -> int:
    """Run it as told on the command line."""
    parser = argparse.ArgumentParser(prog="isolation", description=__doc__)
    parser.add_argument("--requests", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        report = asyncio.run(run(Path(folder), options.requests, options.seed))
    _print(report)
    return 1 if report.violations else 0


if __name__ == "__main__":
    raise SystemExit(main())
