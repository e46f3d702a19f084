"""Creates the API keys and stores them in Redis: `python -m memstream.local.stack.keys DIRECTORY`.

The environment variable MEMSTREAM_LOCAL_REDIS_URL says where Redis is, with its password. This is a
separate process, because the Redis library would more than double the supervisor's memory.
"""

import asyncio
import os
import sys
from pathlib import Path

from memstream.contracts.api_keys import ADMIN_SCOPES
from memstream.local.stack.data_directory import DataDirectory, Keys, write_private
from memstream.runtime.errors import MemstreamError
from memstream.streams.connections import connect
from memstream.web.credentials import Credential, new_key, store_key


def ensure_keys(directory: DataDirectory) -> Keys:
    """Return the keys; create them if they don't exist.

    Raises:
        CannotStart: they exist and can't be read.

    """
    if not directory.keys_file.exists():
        write_private(directory.keys_file, Keys(api_key=new_key(), admin_key=new_key()))
    return directory.keys()


async def store_keys(redis_url: str, keys: Keys) -> None:
    """Store both keys in Redis; storing them again changes nothing.

    Raises:
        Unavailable: Redis does not answer.

    """
    redis = connect(redis_url)
    try:
        await store_key(redis, keys.api_key, Credential(keys.tenant))
        await store_key(redis, keys.admin_key, Credential(keys.tenant, ADMIN_SCOPES))
    finally:
        await redis.aclose()


if __name__ == "__main__":
    try:
        asyncio.run(store_keys(os.environ["MEMSTREAM_LOCAL_REDIS_URL"], ensure_keys(DataDirectory(Path(sys.argv[1])))))
    except MemstreamError as error:
        sys.exit(str(error))
