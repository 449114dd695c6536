"""Homework: exercises for students, and their marking, submission by submission, each in a process of its own."""

from .create import new_homework
from .errors import HomeworkError
from .marking import mark
from .spec import read_spec

__all__ = ["HomeworkError", "mark", "new_homework", "read_spec"]
