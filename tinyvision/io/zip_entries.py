"""The entries of a stranger's zip archive, read with suspicion.

An archive is entries one behind the other and, at the end, a directory of them; nothing forces the two to agree.  Entries can lie
about their size, share their bytes, have one name twice, or be packed so that a kilobyte becomes a gigabyte (a zip bomb).  So
all that is read together is paid for from a budget in proportion to the size of the file, before it is read.

Source: PKWARE, APPNOTE.TXT (.ZIP File Format Specification); Fifield 2019, A better zip bomb (shared bytes).
"""

import contextlib
import errno
import zipfile
import zlib

from .damage import Damaged, Refused, text


def open_archive(file, size):
    """The archive in an open file of so many bytes, which must end with it."""
    with zip_errors():
        archive = zipfile.ZipFile(file)
    file.seek(max(size - 22, 0))                                             # the archive's last record
    if file.read(4) != b"PK\5\6":
        raise Damaged("it goes on after the end of its zip archive")
    return archive


@contextlib.contextmanager
def zip_errors():
    """What zipfile raises on a bad archive, in one voice."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OverflowError, RuntimeError, ValueError) as error:
        raise Damaged(f"its zip archive does not open ({text(str(error))})") from error
    except OSError as error:
        if error.errno != errno.EINVAL:                                      # a place before the file's beginning
            raise
        raise Damaged("its zip archive points outside the file") from error


class Entries:
    """The entries by name: `known` {name: zipfile.ZipInfo}, and `read`, which takes from a budget of bytes.

    size, budget: bytes of the file, and bytes that may be read.
    writer: who makes such archives, for messages.  packed: whether it compresses entries (by deflate); if not, those that are
    compressed are refused.  unchecked: whether it may leave checksums out, writing 0.
    """

    def __init__(self, archive, size, budget, writer, packed=False, unchecked=False):
        self.archive, self.size, self.left, self.writer, self.known = archive, size, budget, writer, {}
        self.packed, self.unchecked = packed, unchecked
        for entry in archive.infolist():
            if entry.filename in self.known:
                raise Damaged(f"its zip archive has two entries {text(entry.filename)}")
            self.known[entry.filename] = entry

    def read(self, name):
        """The bytes of an entry, as many as its directory says."""
        if name not in self.known:
            raise Damaged(f"its zip archive has no entry {text(name)}")
        entry = self.known[name]
        self.pay(entry)
        if self.unchecked and entry.CRC == 0:
            entry.CRC = None
        with zip_errors():
            content = self.archive.read(entry)
        if len(content) != entry.file_size:
            raise Damaged(f"its entry {text(name)} claims {entry.file_size} bytes and has {len(content)}")
        return content

    def pay(self, entry):
        """Take the size of an entry from the budget."""
        stored, name = entry.compress_type == zipfile.ZIP_STORED, text(entry.filename)
        if not stored and not (self.packed and entry.compress_type == zipfile.ZIP_DEFLATED):
            how = " otherwise than by deflate" if self.packed else ""
            raise Refused(f"its entry {name} is compressed{how}, which {self.writer} never does")
        # zipfile makes room for the packed bytes before it looks for them
        if entry.compress_size > self.size or (stored and entry.file_size != entry.compress_size):
            raise Damaged(f"its entry {name} claims {entry.file_size} bytes, packed {entry.compress_size}, more than there are")
        self.left -= entry.file_size                                         # entries could share their bytes
        if self.left < 0 and stored:
            raise Damaged(f"its entry {name} claims {entry.file_size} bytes, more than there are")
        if self.left < 0:
            raise Refused(f"its entry {name} would unpack to {entry.file_size} bytes, out of proportion to the file")
