"""A training program, and an operator that it reports to."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.listening_operator import ListeningOperator, listening_operator
from support.training_program import TrainingProgram, training_program


@pytest.fixture
async def operator() -> AsyncIterator[ListeningOperator]:
    """An operator that takes what is reported."""
    async with listening_operator() as operator:
        yield operator


@pytest.fixture
async def program(operator: ListeningOperator, tmp_path: Path) -> AsyncIterator[TrainingProgram]:
    """A program of rank 0 that reports to it."""
    async with training_program(tmp_path, operator.variables(tmp_path)) as program:
        yield program
