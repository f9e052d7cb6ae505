"""Records by key: what changed is found, and nothing else."""

from hypothesis import given
from hypothesis import strategies as st

from support.build import a_job
from trainpush.model.records import Records
from trainpush.model.workload import Job, Key

NAMES = st.integers(0, 40).map(str)


@given(st.lists(st.tuples(st.lists(NAMES, max_size=6), st.lists(NAMES, max_size=6)), max_size=6))
def test_a_changed_copy_is_as_if_made_anew_and_tells_the_difference(steps: list[tuple[list[str], list[str]]]) -> None:
    records, known = Records[Job](), dict[Key, Job]()
    for put, gone in steps:
        jobs = {(job := a_job(name)).key: job for name in put}
        lost = {Key("default", name) for name in gone} - jobs.keys()
        before, former = records, dict(known)
        records = records.changed(jobs.values(), lost)
        known = {key: job for key, job in known.items() if key not in lost} | jobs
        assert list(records) == [known[key] for key in sorted(known)]
        assert len(records) == len(known)
        assert records == Records(known.values())
        new, left = records.since(before)
        assert {job.key for job in new} == jobs.keys()
        assert all(records.get(job.key) is job for job in new)
        assert left == lost & former.keys()


def test_where_nothing_changes_it_is_the_very_same() -> None:
    records = Records([a_job("a")])
    assert records.changed(()) is records
    assert Records.of(records) is records
    assert records.since(records) == ([], set())
