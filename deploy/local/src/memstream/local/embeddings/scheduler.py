"""The queue in front of the model: keeps it busy on all its threads, and the event loop free."""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

from memstream.local.embeddings.lanes import Job, Lanes, Place, deliver, job_of
from memstream.local.embeddings.model import Model, Tokens, Vectors

# Texts accepted and not yet answered. A request is taken while fewer wait, so one of any size gets in when idle.
CAPACITY = 4096

# Tokenising less than this many characters is quicker than handing it to a thread (about 0.3 ms).
_INLINE_CHARACTERS = 2000


class Overloaded(Exception):
    """Too many texts are waiting; nothing of the request was taken."""


class Scheduler:
    """Runs a model for concurrent requests. Use inside one event loop; `close()` when done."""

    def __init__(self, model: Model, *, threads: int, capacity: int = CAPACITY) -> None:
        self._model = model
        self._capacity = capacity
        self._waiting = 0
        self._idle = threads
        self._lanes = Lanes(model.batch_tokens)
        self._futures: dict[Job, asyncio.Future[Vectors]] = {}
        self._forward = ThreadPoolExecutor(threads, thread_name_prefix="forward")
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="tokenise")

    @contextmanager
    def admitted(self, texts: int) -> Iterator[None]:
        """Hold room for so many texts. Raises `Overloaded` when the queue is full."""
        if self._waiting >= self._capacity:
            raise Overloaded(f"{self._waiting} texts are waiting, at most {self._capacity} may")
        self._waiting += texts
        try:
            yield
        finally:
            self._waiting -= texts

    async def tokenise(self, texts: Sequence[str]) -> list[Tokens]:
        """Tokenise, in a thread when there is much of it."""
        if sum(map(len, texts)) < _INLINE_CHARACTERS:
            return self._model.tokenise(texts)
        return await asyncio.get_running_loop().run_in_executor(self._reading, self._model.tokenise, texts)

    async def embed(self, texts: Sequence[Tokens]) -> Vectors:
        """Return the vectors of the texts, in order. When the caller is cancelled, what was not started never is."""
        job = job_of(texts, self._model.dimensions)
        future: asyncio.Future[Vectors] = asyncio.get_running_loop().create_future()
        self._futures[job] = future
        self._lanes.add(job)
        self._start()
        try:
            return await future
        finally:
            job.dropped = True
            self._futures.pop(job, None)

    def close(self) -> None:
        """Stop the threads after the batch each is at."""
        self._forward.shutdown(wait=False, cancel_futures=True)
        self._reading.shutdown(wait=False, cancel_futures=True)

    def _start(self) -> None:
        loop = asyncio.get_running_loop()
        while self._idle and (batch := self._lanes.take()):
            self._idle -= 1
            running = loop.run_in_executor(self._forward, self._model.embed, [place.tokens for place in batch])
            running.add_done_callback(partial(self._finished, batch))

    def _finished(self, batch: list[Place], running: asyncio.Future[Vectors]) -> None:
        self._idle += 1
        if running.cancelled():
            return
        failure = running.exception()
        if failure is None:
            for job in deliver(batch, running.result()):
                self._settle(job, None)
        else:
            for job in {place.job for place in batch}:
                self._settle(job, failure)
        self._start()

    def _settle(self, job: Job, failure: BaseException | None) -> None:
        job.dropped = True
        future = self._futures.pop(job, None)
        if future is None or future.done():
            return
        if failure is None:
            future.set_result(job.vectors)
        else:
            future.set_exception(failure)
