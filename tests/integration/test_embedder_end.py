"""How the embedder ends: when it is told to, and when it can't start."""

import asyncio
import os
import signal
import sys

from integration.worksite import Worksite, texts
from waiting import PATIENCE


async def start_alone(**environment: str) -> tuple[int, str]:
    """Run the embedder with nothing but these settings until it ends; give exit code and what it wrote."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "memstream.embedder"),
        env={
            "PATH": os.environ["PATH"],
            **{f"MEMSTREAM_EMBEDDER_{name}": value for name, value in environment.items()},
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(PATIENCE):
        output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_told_to_end_it_finishes_what_is_in_hand(site: Worksite) -> None:
    await site.work(batch_texts=10)
    site.script.open.clear()
    await site.say(texts(100))
    await site.calls(2)
    site.parts.signal("embedder-1", signal.SIGTERM)
    site.script.open.set()
    assert await site.parts.ended("embedder-1") == 0
    left = len(await site.pending())
    assert len(await site.stored()) == 100 - left - (await site.redis.xinfo_groups(site.stream))[0]["lag"]
    await site.work("embedder-2", claim_idle=1)
    await site.finished()
    assert await site.stored() == {text: [0] for text in texts(100)}


async def test_told_to_end_with_the_provider_down_it_leaves_all_pending(site: Worksite) -> None:
    # The call would last longer than any test.
    await site.work(grace=1, embeddings_timeout=3600)
    site.script.fail("timeout")
    await site.say(texts(50))
    await site.calls(1)
    assert await site.parts.stop("embedder-1") == 0
    group = (await site.redis.xinfo_groups(site.stream))[0]
    assert group["pending"] + group["lag"] == 50
    site.script.mend()
    await site.work("embedder-2", claim_idle=1)
    await site.finished()
    assert await site.stored() == {text: [0] for text in texts(50)}


async def test_told_to_end_with_redis_down_it_ends_in_time(site: Worksite) -> None:
    await site.work(grace=1)
    site.script.open.clear()
    await site.say(texts(50))
    await site.calls(1)
    await site.parts.kill("redis")
    site.script.open.set()
    await site.not_ready_for("Redis")
    assert await site.parts.stop("embedder-1") == 0


async def test_told_to_end_before_it_could_start_it_ends_at_once(site: Worksite) -> None:
    await site.parts.kill("redis")
    # At once: the grace is for work in progress, and there is none.
    await site.work(ready=False, grace=3600)
    await site.not_ready_for("Redis")
    assert await site.parts.stop("embedder-1") == 0


async def test_a_missing_key_is_said_in_one_line() -> None:
    status, output = await start_alone()
    assert status == 78
    assert output.splitlines() == ["set MEMSTREAM_EMBEDDER_EMBEDDINGS_API_KEY: Field required"]


async def test_a_port_in_use_is_said_in_one_line(site: Worksite) -> None:
    port = site.parts.url("redis").rpartition(":")[2].partition("/")[0]
    status, output = await start_alone(EMBEDDINGS_API_KEY="x", PORT=port)
    assert status == 78
    (line,) = output.splitlines()
    assert f"can't listen on 127.0.0.1:{port}" in line
