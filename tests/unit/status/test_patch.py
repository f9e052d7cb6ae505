"""Patches of statuses: what is written, and what is left alone."""

from hypothesis import given
from hypothesis import strategies as st

from trainpush.status.patch import merge_patch

JSON = st.recursive(
    st.integers() | st.text(max_size=3) | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


def merged(old: object, patch: object) -> object:
    """RFC 7386, as the API server does it."""
    if not isinstance(patch, dict):
        return patch
    base = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            base.pop(key, None)
        else:
            base[key] = merged(base.get(key), value)
    return base


@given(st.dictionaries(st.text(max_size=2), JSON, max_size=4), st.dictionaries(st.text(max_size=2), JSON, max_size=4))
def test_a_patch_leads_from_old_to_new(old: dict[str, object], new: dict[str, object]) -> None:
    """And there is none where nothing changed."""
    assert merged(old, merge_patch(old, new)) == new
    assert merge_patch(new, new) == {}
