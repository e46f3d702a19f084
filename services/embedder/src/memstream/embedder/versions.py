"""Which version of a message is stored: what was posted, what is there already, and what is kept of it. Pure."""

from collections.abc import Sequence
from dataclasses import replace

from memstream.embedder.jobs import EmbeddingJob, texts_of
from memstream.vectors.store import StoredVersion


def next_version(job: EmbeddingJob, stored: StoredVersion | None, erased_until: str | None) -> EmbeddingJob | None:
    """Return the message as it is to be stored; None if nothing is to be written.

    A later entry is never overwritten by an earlier one. A repeat with the same text changes nothing. Anything else is
    a new version: it keeps when the message was recorded, and when it was said unless it names another time.
    `erased_until` is the mark of the user's erasure: what is stored from before it is as good as gone.
    """
    if stored is None or (erased_until is not None and stored.is_covered_by(erased_until)):
        return job
    if stored.entry == job.position:
        return None if stored.is_complete else _keep_times(job, stored)
    if stored.order > job.position.order:
        return None
    if not job.message.replaces and stored.text == job.message.text:
        return None
    return _keep_times(job, stored)


def _keep_times(job: EmbeddingJob, stored: StoredVersion) -> EmbeddingJob:
    first, message = stored.first, job.message
    occurred_at = message.occurred_at if message.names_its_time else first.occurred_at
    kept = message.model_copy(update={"occurred_at": occurred_at, "recorded_at": first.recorded_at})
    # The texts begin with the day it was said.
    return replace(job, message=kept, texts=texts_of(kept, job.chunks))


def first_of_each_message(jobs: Sequence[EmbeddingJob], open_jobs: Sequence[int]) -> list[int]:
    """Return the indexes of jobs that can be stored at once: of several versions of a message the earliest."""
    chosen: dict[tuple[str, str, str], int] = {}
    for index in sorted(open_jobs, key=lambda index: jobs[index].position.order):
        message = jobs[index].message
        chosen.setdefault((message.tenant, message.user_id, message.message_id), index)
    return sorted(chosen.values())
