"""What a reader raises inside when a file is not what it should be, and how it quotes the file's own words.

The outermost function of each reader turns both into a ValueError that names the file, says why, and what to do.
"""


class Damaged(ValueError):
    """The bytes are not what they should be."""


class Refused(ValueError):
    """The bytes ask for something that is not done for strangers; `name` says for what, where it has a name."""

    def __init__(self, reason, name=""):
        super().__init__(reason)
        self.name = name


def text(value):
    """The file's own words for an error message: printable, on one line, and not a megabyte of them.

    >>> text("two" + chr(10) + "lines"), text([1, 2])
    ('two\\\\nlines', 'a list')
    """
    if isinstance(value, str):
        return ascii(value[:120])[1:-1]
    kind = type(value).__name__
    return f"{'an' if kind[0] in 'aeiouO' else 'a'} {kind}"
