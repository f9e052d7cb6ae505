"""What is remembered of the last plan never changes the next one."""

from hypothesis import given
from hypothesis import strategies as st

from support.build import NOW
from support.events import Moment, beginnings, followed
from trainpush.planner.memory import Memory
from trainpush.planner.plan import plan

STEPS = 8


@given(st.data())
def test_a_plan_with_memory_is_the_plan_without(data: st.DataObject) -> None:
    """Decision by decision, whatever happens between two plans, and whenever memory is thrown away."""
    memory = Memory()
    moment = Moment(data.draw(beginnings()), NOW)
    for _ in range(data.draw(st.sampled_from([3, STEPS]))):
        remembered, fresh = plan(moment.snapshot, moment.now, memory), plan(moment.snapshot, moment.now)
        assert remembered == fresh
        if data.draw(st.integers(0, 9)) == 0:
            memory = Memory()
        moment = data.draw(followed(moment, fresh))
