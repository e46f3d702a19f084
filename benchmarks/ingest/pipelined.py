"""The reference for batches: redis-py, XADDs of 100 messages in a pipeline. Arguments: REDIS_URL CLIENTS SECONDS."""

import asyncio
import json
import sys
import time

import redis.asyncio
import uvloop

from benchmarks.ingest.load import body

_BATCH = 100


async def client(url: str, end: float) -> int:
    """Write batches until the end; return how many messages."""
    connection = redis.asyncio.from_url(url)
    done = 0
    while time.perf_counter() < end:
        _, _, content = body(f"{end}-{done}", _BATCH)
        async with connection.pipeline(transaction=False) as pipe:
            for line in content.split(b"\n"):
                pipe.xadd("bare", {"data": line})
            await pipe.execute()
        done += _BATCH
    await connection.aclose()
    return done


async def main() -> None:
    """Run with the arguments of the command line."""
    url, clients, seconds = sys.argv[1:]
    started, spent = time.perf_counter(), time.process_time()
    counts = await asyncio.gather(*(client(url, started + float(seconds)) for _ in range(int(clients))))
    took, spent = time.perf_counter() - started, time.process_time() - spent
    print(json.dumps({"per_second": sum(counts) / took, "cpu_us": spent / sum(counts) * 1e6}))


if __name__ == "__main__":
    uvloop.run(main())
