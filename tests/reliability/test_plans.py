"""What a seed stands for."""

from collections import Counter

from reliability.conftest import SHORT_SET
from reliability.faults import ERASURE_KINDS, KINDS, PARTS, AtPoint, Kill
from reliability.machine_faults import MACHINE_KINDS
from reliability.operations import POISON
from reliability.plans import SHAPES, draw_plan
from reliability.points import LATE_WRITES


def test_a_seed_always_gives_the_same_orders_and_faults() -> None:
    for shape in SHAPES:
        assert draw_plan(7, shape) == draw_plan(7, shape)
        assert draw_plan(7, shape) != draw_plan(8, shape)


def test_a_few_seeds_in_a_row_have_every_kind_of_fault() -> None:
    for first in range(1, 40):
        seeds = range(first, first + SHORT_SET)
        assert {fault.kind for seed in seeds for fault in draw_plan(seed).faults} == set(KINDS)


def test_a_run_has_a_hundred_messages_and_every_fault_it_drew() -> None:
    for seed in range(40):
        plan = draw_plan(seed)
        sent = {
            (m.user, m.message_id)
            for o in plan.operations
            if o.kind in {"single", "batch"}
            for m in o.messages
            if m.valid
        }
        assert len(sent) >= 100
        assert len(plan.faults) == 4
        assert max(plan.injections) < len(plan.operations)


def test_after_a_fault_that_waits_for_poison_or_a_delete_there_is_one() -> None:
    for seed in range(40):
        plan = draw_plan(seed)
        for place, faults in plan.injections.items():
            for fault in faults:
                following = plan.operations[place : place + 5]
                if isinstance(fault, AtPoint) and fault.point.provoked_by == "delete":
                    assert any(operation.kind == "delete" for operation in following)
                if isinstance(fault, AtPoint) and fault.point.provoked_by == "poison":
                    assert any(POISON in message.text for operation in following for message in operation.messages)


def test_in_a_big_run_each_part_is_killed() -> None:
    faults = draw_plan(1, "big").faults
    assert sorted(fault.part for fault in faults if isinstance(fault, Kill)) == sorted(PARTS)


def test_an_erasure_run_is_about_deletions_and_has_a_write_that_comes_late() -> None:
    for seed in range(40):
        plan = draw_plan(seed, "erasure")
        kinds = Counter(operation.kind for operation in plan.operations)
        assert kinds["delete"] + kinds["erase"] + kinds["verify"] > len(plan.operations) / 5
        assert kinds["erase"]
        assert any(isinstance(fault, AtPoint) and fault.blow == "hold" for fault in plan.faults)


def test_a_few_erasure_runs_in_a_row_have_every_kind_of_fault() -> None:
    late = {point.name for point in LATE_WRITES}
    for first in range(1, 40):
        seeds = range(first, first + 4)
        assert {f.kind for seed in seeds for f in draw_plan(seed, "erasure").faults} == {*late, *ERASURE_KINDS}


def test_a_few_runs_on_machines_in_a_row_have_every_kind_of_fault() -> None:
    for first in range(1, 40):
        kinds = {fault.kind for seed in range(first, first + 5) for fault in draw_plan(seed, "machines").faults}
        assert kinds >= set(MACHINE_KINDS)


def test_users_of_different_runs_have_different_names() -> None:
    plans = [draw_plan(1), draw_plan(11), draw_plan(1, "big"), draw_plan(1, "erasure")]
    users = [
        {message.user for operation in plan.operations for message in operation.messages if message.valid}
        for plan in plans
    ]
    assert users[0].isdisjoint(users[1])
    assert users[0].isdisjoint(users[2])
    assert users[0].isdisjoint(users[3])
