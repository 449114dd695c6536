"""The mistakes of a lecturer or a student, said in one sentence; a submission's own faults are results, not errors."""

import difflib


class HomeworkError(Exception):
    """Something the user can mend: a folder in the way, a specification with a mistake."""


def choice(value, choices):
    """The end of a sentence about a wrong word: what there is, what was found, and the nearest right one.

    >>> choice("pare", ("pair", "loss"))
    "one of pair, loss, got 'pare'. Did you mean pair?"
    """
    near = difflib.get_close_matches(str(value), choices, n=1)
    return f"one of {', '.join(choices)}, got {value!r}." + (f" Did you mean {near[0]}?" if near else "")
