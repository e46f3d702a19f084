"""Which lane's batch goes next: pure numbers."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from memstream.contracts.keys import LANES, Lane
from memstream.embedder.bulk_throttle import BulkThrottle
from memstream.embedder.lane_scheduler import LIVE_BATCHES_PER_TURN, LaneScheduler

MOST = 12
IDLE: dict[Lane, float | None] = {"live": None, "bulk": None}
BOTH_DUE: dict[Lane, float | None] = {"live": 0.0, "bulk": 0.0}
ONLY_BULK: dict[Lane, float | None] = {"live": None, "bulk": 0.0}

dues = st.fixed_dictionaries({lane: st.none() | st.just(0.0) | st.floats(0.001, 5.0) for lane in LANES})
steps = st.lists(
    st.tuples(
        st.sampled_from(["begin", "free", "finish"]),
        dues,
        st.integers(1, MOST),
        st.floats(0.0, 2.0),
        st.integers(0, MOST),
    ),
    max_size=60,
)


@dataclass
class Worker:
    """Does what the scheduler says, and remembers which batches are where."""

    scheduler: LaneScheduler = field(default_factory=lambda: LaneScheduler(BulkThrottle(MOST)))
    calling: list[Lane] = field(default_factory=list)
    storing: list[Lane] = field(default_factory=list)
    now: float = 0.0

    def begin(self, due: dict[Lane, float | None], limit: int) -> Lane | None:
        """Begin a batch if one may begin."""
        lane = self.scheduler.choose(due, limit, self.now)
        if lane is not None:
            self.scheduler.begin(lane)
            self.calling.append(lane)
        return lane

    def free(self, index: int = 0) -> None:
        """Let a batch have its vectors."""
        lane = self.calling.pop(index % len(self.calling))
        self.scheduler.free_slot(lane)
        self.storing.append(lane)

    def finish(self, index: int = 0, seconds: float = 0.01) -> None:
        """Let a batch be acknowledged."""
        self.scheduler.finish(self.storing.pop(index % len(self.storing)), seconds, self.now)

    def in_hand(self, lane: Lane) -> int:
        """Count batches of a lane that are not acknowledged."""
        return (self.calling + self.storing).count(lane)


@given(steps)
def test_a_batch_begins_only_when_due_and_with_a_slot(
    steps: list[tuple[str, dict[Lane, float | None], int, float, int]],
) -> None:
    worker = Worker()
    for action, due, limit, seconds, index in steps:
        worker.now += seconds
        used, live = len(worker.calling), worker.calling.count("live")
        if action == "free" and worker.calling:
            worker.free(index)
        elif action == "finish" and worker.storing:
            worker.finish(index, seconds)
        elif lane := worker.begin(due, limit):
            assert due[lane] == 0.0
            assert used < limit or (lane == "live" and not live)
            # An import leaves a slot free, if there is more than one.
            assert lane == "live" or used < max(1, limit - 1)
        assert worker.scheduler.calls == len(worker.calling)


@given(steps)
def test_live_goes_before_bulk_except_for_its_turn(
    steps: list[tuple[str, dict[Lane, float | None], int, float, int]],
) -> None:
    worker, live = Worker(), 0
    for action, due, limit, seconds, index in steps:
        worker.now += seconds
        if action == "free" and worker.calling:
            worker.free(index)
        elif action == "finish" and worker.storing:
            worker.finish(index, seconds)
        elif lane := worker.begin(due, limit):
            # Whatever has room for an import has room for what was just said: none was due.
            assert lane == "live" or due["live"] != 0.0 or live >= LIVE_BATCHES_PER_TURN
            live = live + 1 if lane == "live" else 0


@given(st.integers(1, MOST), st.integers(1, 200))
def test_an_import_does_not_stand_still_however_many_live_messages_come(limit: int, batches: int) -> None:
    worker, lanes = Worker(), list[Lane | None]()
    for _ in range(batches):
        lanes.append(worker.begin(BOTH_DUE, limit))
        worker.free()
        worker.finish()

    assert lanes.count("bulk") == batches // (LIVE_BATCHES_PER_TURN + 1)


@given(steps, st.integers(1, MOST))
def test_the_first_live_batch_may_always_begin(
    steps: list[tuple[str, dict[Lane, float | None], int, float, int]], limit: int
) -> None:
    worker = Worker()
    for _, _, step_limit, seconds, _ in steps:
        worker.now += seconds
        worker.begin(ONLY_BULK, step_limit)

    assert worker.begin(BOTH_DUE, limit) == "live"


@given(steps)
def test_neither_lane_stands_still(steps: list[tuple[str, dict[Lane, float | None], int, float, int]]) -> None:
    worker = Worker()
    for action, due, limit, seconds, index in steps:
        worker.now += seconds
        if action == "free" and worker.calling:
            worker.free(index)
        elif action == "finish" and worker.storing:
            worker.finish(index, seconds)
        else:
            worker.begin(due, limit)
    while worker.calling:
        worker.free()
    while worker.storing:
        worker.finish(seconds=5.0)

    assert worker.begin(ONLY_BULK, 1) == "bulk"


@given(steps)
def test_beside_live_messages_an_import_has_no_more_batches_in_hand_than_the_throttle_allows(
    steps: list[tuple[str, dict[Lane, float | None], int, float, int]],
) -> None:
    throttle = BulkThrottle(MOST)
    worker = Worker(LaneScheduler(throttle))
    for action, due, limit, seconds, index in steps:
        worker.now += seconds
        if action == "free" and worker.calling:
            worker.free(index)
        elif action == "finish" and worker.storing:
            worker.finish(index, seconds)
        elif worker.begin(due, limit) == "bulk":
            assert worker.in_hand("bulk") <= throttle.allowed(worker.now)


@given(steps)
def test_the_wait_is_for_a_batch_that_may_begin(
    steps: list[tuple[str, dict[Lane, float | None], int, float, int]],
) -> None:
    worker = Worker()
    for _, due, limit, seconds, _ in steps:
        worker.now += seconds
        wait = worker.scheduler.next_due(due, limit, worker.now)
        assert (wait == 0.0) == (worker.scheduler.choose(due, limit, worker.now) is not None)
        assert wait is None or wait in due.values()
        worker.begin(due, limit)


def test_with_nothing_due_nothing_begins() -> None:
    scheduler = LaneScheduler(BulkThrottle(MOST))

    assert scheduler.choose(IDLE, 8, 0.0) is None
    assert scheduler.next_due(IDLE, 8, 0.0) is None
