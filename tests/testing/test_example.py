"""The example of `portofcall.testing` in the documentation is a test that passes."""

from typing import Any

import pytest

from tests.support import python_blocks

EXAMPLE: dict[str, Any] = {}
exec(
    "\n".join(block for block in python_blocks("docs/embedding.md") if "portofcall.testing" in block), EXAMPLE
)


@pytest.mark.parametrize("name", [name for name in EXAMPLE if name.startswith("test_")])
def test_example_of_the_documentation(name: str) -> None:
    """Each function of the example does what its name says."""
    EXAMPLE[name]()


def test_the_example_was_found() -> None:
    """The document still has it, so something was run."""
    assert [name for name in EXAMPLE if name.startswith("test_")] == [
        "test_database_is_reachable_by_its_name",
        "test_count_follows_the_end_of_the_words",
        "test_other_ports_are_blocked",
    ]
