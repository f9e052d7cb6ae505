"""Everything that is generated from the code: the definitions of our kinds, and the reference pages."""

from trainpush.api import crd

from .fields import field_pages
from .glossary import glossary_page
from .pages import named_pages

__all__ = ["generated_files"]


def generated_files() -> dict[str, str]:
    """The text of every generated file by its path from the root; the same code always gives the same bytes."""
    pages = field_pages() | named_pages() | glossary_page()
    definitions = {f"crds/{name}": text for name, text in crd.crds().items()}
    return definitions | {f"docs/reference/{name}.md": text for name, text in pages.items()}
