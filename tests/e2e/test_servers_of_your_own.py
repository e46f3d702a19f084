"""`memstream up` on servers that run already: they are used, and none is started in their place."""

import json
from pathlib import Path

from e2e.test_command import memstream
from e2e.test_life import living, say
from installation import Installation, installed
from waiting import until


async def test_a_stack_uses_the_servers_that_it_is_given_and_starts_none_of_them(tmp_path: Path) -> None:
    async with installed(Installation(tmp_path / "others", model="wordllama")) as others:
        await others.start("redis", "qdrant", "embeddings")
        secrets = others.plan.directory.secrets()
        files = {
            "--redis-password-file": secrets.redis_password,
            "--qdrant-api-key-file": others.plan.qdrant_api_key or "none",
            "--embeddings-api-key-file": secrets.embeddings_api_key,
        }
        options: list[str | Path] = []
        for option, secret in files.items():
            file = tmp_path / option.strip("-")
            file.write_text(secret + "\n")
            options += [option, file]
        redis_url = others.plan.redis_url.replace(f":{secrets.redis_password}@", "")
        options += ["--redis-url", redis_url, "--qdrant-url", others.url("qdrant"), "--collection", "mine"]
        options += ["--embeddings-url", others.plan.embeddings_url]
        async with living(tmp_path / "home", *map(str, options)) as life:
            await say(life)
            async with life.memory() as memory:

                async def is_found() -> bool:
                    return bool((await memory.search("family", "where is the key")).hits)

                await until(is_found, "what was said is found")
            stack = json.loads((tmp_path / "home" / "stack.json").read_text())
            assert {each["name"] for each in stack["processes"]} == {"ingest-1", "embedder-1", "retriever-1"}
            assert (stack["qdrant_url"], stack["collection"]) == (others.url("qdrant"), "mine")
        async with others.qdrant() as qdrant:
            assert (await qdrant.get("/collections/mine/exists")).json()["result"]["exists"]


async def test_what_is_wrong_with_a_server_is_one_line(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    for options, said in (
        (("--qdrant-url", "127.0.0.1:6333"), "--qdrant-url is no URL of such a server"),
        (("--qdrant-url", "http://127.0.0.1:1", "--qdrant-api-key-file", tmp_path / "none"), "can't be read"),
        (("--qdrant-url", "http://127.0.0.1:1", "--qdrant-api-key-file", empty), "is empty"),
    ):
        ran = await memstream("up", "--home", tmp_path / "home", *options)
        assert (ran.code, said in ran.err) == (1, True)
