"""`memstream up` with a rerank server of one's own."""

from pathlib import Path

from e2e.test_command import memstream
from e2e.test_life import living, say
from ports import free_ports
from provider.script import Script
from provider.server import providing
from waiting import until


async def test_a_stack_reranks_with_the_server_that_it_is_given(tmp_path: Path) -> None:
    script = Script()
    async with (
        providing(script) as url,
        living(tmp_path / "home", "--rerank-url", url, "--rerank-model", "simulated") as life,
    ):
        await say(life)
        async with life.memory() as memory:

            async def is_reranked() -> bool:
                answer = await memory.search("family", "where is the key")
                return answer.reranked and all("rerank" in hit.signals for hit in answer.hits[:20])

            # On a busy machine, a ranking may take longer than a search waits for it.
            await until(is_reranked, "hits are reranked")


async def test_a_server_without_a_model_is_one_line_that_says_what_to_set(tmp_path: Path) -> None:
    options = ("--home", tmp_path / "home", "--model", "wordllama", "--port-base", str(free_ports(6)))
    ran = await memstream("up", *options, "--rerank-url", "http://127.0.0.1:1/v1")

    assert ran.code == 1
    assert "set MEMSTREAM_RETRIEVER_RERANK_URL and MEMSTREAM_RETRIEVER_RERANK_MODEL: both, or neither" in ran.err
