"""PriorityClasses as they are kept."""

import json

from trainpush.kube.priorities import PriorityRow, read_priority
from trainpush.kube.table import Row


def test_a_class_is_its_name_its_value_and_whether_it_preempts() -> None:
    """`globalDefault` is absent where it is false, and `preemptionPolicy` where nobody set the default."""
    metadata = {"name": "high", "uid": "u", "resourceVersion": "7", "annotations": {"a": "b"}}
    body = {"kind": "PriorityClass", "metadata": metadata, "value": -5, "preemptionPolicy": "Never", "description": "d"}
    assert read_priority(json.dumps(body).encode()) == Row("u", 7, PriorityRow("high", -5, preempts=False))
    default = read_priority(json.dumps({**body, "globalDefault": True}).encode())
    assert default.value.is_default
    for policy in ({}, {"preemptionPolicy": "PreemptLowerPriority"}):
        usual = {"kind": "PriorityClass", "metadata": metadata, "value": 1, **policy}
        assert read_priority(json.dumps(usual).encode()).value.preempts
