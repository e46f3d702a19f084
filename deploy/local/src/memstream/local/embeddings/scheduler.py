"""Runs the model on its threads for concurrent requests, without blocking the event loop."""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from memstream.local.embeddings.model import Model, Tokens, Vectors
from memstream.local.embeddings.queue import BatchQueue, Job, QueuedText, new_job, store_vectors

# Texts admitted and not yet answered. A request is admitted while there are fewer, so any size is when idle.
CAPACITY = 4096

# Tokenising less than this many characters is quicker than handing it to a thread (about 0.3 ms).
_INLINE_CHARACTERS = 2000


class Overloaded(Exception):
    """Too many texts are waiting; the request was not admitted."""


class Scheduler:
    """Runs a model for concurrent requests, inside one event loop, until `close`."""

    def __init__(self, model: Model, *, threads: int, capacity: int = CAPACITY) -> None:
        self._model = model
        self._capacity = capacity
        self._waiting = 0
        self._idle = threads
        self._queue = BatchQueue(model.batch_tokens)
        self._futures: dict[Job, asyncio.Future[Vectors]] = {}
        self._forward = ThreadPoolExecutor(threads, thread_name_prefix="forward")
        self._tokenising = ThreadPoolExecutor(1, thread_name_prefix="tokenise")

    @contextmanager
    def admitted(self, texts: int) -> Iterator[None]:
        """Count these texts as waiting while the context is open. Raises `Overloaded` if too many wait already."""
        if self._waiting >= self._capacity:
            raise Overloaded(f"{self._waiting} texts are waiting, at most {self._capacity} may")
        self._waiting += texts
        try:
            yield
        finally:
            self._waiting -= texts

    async def tokenise(self, texts: Sequence[str]) -> list[Tokens]:
        """Return the tokens of the texts; long ones are tokenised in a thread."""
        if sum(map(len, texts)) < _INLINE_CHARACTERS:
            return self._model.tokenise(texts)
        return await asyncio.get_running_loop().run_in_executor(self._tokenising, self._model.tokenise, texts)

    async def embed(self, texts: Sequence[Tokens]) -> Vectors:
        """Return the vectors of the texts, in order. If the caller is cancelled, batches not yet started never are."""
        job = new_job(texts, self._model.dimensions)
        future: asyncio.Future[Vectors] = asyncio.get_running_loop().create_future()
        self._futures[job] = future
        self._queue.add(job)
        self._start()
        try:
            return await future
        finally:
            job.cancelled = True
            self._futures.pop(job, None)

    def close(self) -> None:
        """Stop each thread after its current batch."""
        self._forward.shutdown(wait=False, cancel_futures=True)
        self._tokenising.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        while self._idle and (batch := self._queue.next_batch()):
            self._idle -= 1
            running = loop.run_in_executor(self._forward, self._model.embed, [text.tokens for text in batch])
            running.add_done_callback(partial(self._finished, batch))

    def _finished(self, batch: list[QueuedText], running: asyncio.Future[Vectors]) -> None:
        self._idle += 1
        if running.cancelled():
            return
        failure = running.exception()
        if failure is None:
            for job in store_vectors(batch, running.result()):
                self._settle(job, None)
        else:
            for job in {text.job for text in batch}:
                self._settle(job, failure)
        self._start()

    def _settle(self, job: Job, failure: BaseException | None) -> None:
        job.cancelled = True
        future = self._futures.pop(job, None)
        if future is None or future.done():
            return
        if failure is None:
            future.set_result(job.vectors)
        else:
            future.set_exception(failure)
