"""Makes a home's keys and makes them known to the services: `python -m memstream.local.stack.keys REDIS_URL HOME`.

A process of its own, since the Redis library would more than double what the supervisor weighs.
"""

import asyncio
import sys
from pathlib import Path

from memstream.local.stack.home import Home, Keys, write_private
from memstream.runtime.access import Credential, new_key, store_key
from memstream.runtime.errors import MemstreamError
from memstream.runtime.streams import connect


def settled_keys(home: Home) -> Keys:
    """Give a home's keys, made at the first time.

    Raises:
        CannotStart: they are there and can't be read.

    """
    if not home.keys_file.exists():
        write_private(home.keys_file, Keys(api_key=new_key(), admin_key=new_key()))
    return home.keys()


async def store_keys(redis_url: str, keys: Keys) -> None:
    """Store both keys; storing them again changes nothing.

    Raises:
        Unavailable: Redis is out of reach.

    """
    redis = connect(redis_url)
    try:
        await store_key(redis, keys.api_key, Credential(keys.tenant))
        await store_key(redis, keys.admin_key, Credential(keys.tenant, admin=True))
    finally:
        await redis.aclose()


if __name__ == "__main__":
    try:
        asyncio.run(store_keys(sys.argv[1], settled_keys(Home(Path(sys.argv[2])))))
    except MemstreamError as error:
        sys.exit(str(error))
