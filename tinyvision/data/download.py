"""Files from the network, once: mirrors in turn, a checksum, a folder of their own.

pooch does the work: it writes to a temporary file in the target's folder, compares the checksum, and only then renames the
file to its name; so a file under its own name is always complete, even when a download is interrupted.
"""

from importlib.util import find_spec
from pathlib import Path

from ..packages import require

TIMEOUT = 30                                              # seconds without an answer before the next mirror is tried


def cache_folder(name):
    """Where the files of the data set `name` are kept for this user (~/.cache/tinyvision/name on Linux)."""
    require("cache_folder", "pooch")
    import pooch
    return Path(pooch.os_cache("tinyvision")) / name


def download_file(name, mirrors, known_hash, folder):
    """Download the file `name` from the first mirror that serves it, and return its path in `folder`.

    mirrors: addresses of folders; known_hash: "md5:..." or "sha256:..." of the file.  Where the file is in the folder already,
    the network is not touched.
    Raises ValueError where a file of that name with another checksum is in the folder (it is left alone); ConnectionError
    where every mirror failed, with the reason for each (nothing is left in the folder).
    """
    require("download", "pooch")
    import pooch
    from requests import RequestException
    target = Path(folder) / name
    if target.exists():
        algorithm, _, official = known_hash.partition(":")
        if (found := pooch.file_hash(str(target), algorithm)) != official:
            raise ValueError(f"download: {target} should have {known_hash}, got {found}. Move it away or delete it, and run "
                             "again.")
        return target
    reasons = []
    for mirror in mirrors:
        address = f"{mirror.rstrip('/')}/{name}"
        get = pooch.HTTPDownloader(progressbar=find_spec("tqdm") is not None, chunk_size=1 << 16, timeout=TIMEOUT)
        try:
            return Path(pooch.retrieve(address, known_hash, name, folder, downloader=get))
        except (RequestException, ValueError) as error:   # pooch reports a wrong checksum as ValueError
            if getattr(error, "response", None) is not None:
                error.response.close()                    # pooch leaves the connection of a refusal open
            reasons.append(f"{address} ({reason(error)})")
            last = error
    raise ConnectionError(f"download: no mirror served {name}, tried {', '.join(reasons)}") from last


def reason(error):
    """Why a mirror failed, in a few words; the exception chain keeps the details."""
    from requests import exceptions
    if isinstance(error, exceptions.HTTPError):
        return f"{error.response.status_code} {error.response.reason}"
    if not isinstance(error, exceptions.RequestException):
        return "wrong checksum"
    kinds = {exceptions.Timeout: f"no answer in {TIMEOUT} s", exceptions.SSLError: "certificate refused",
             exceptions.ConnectionError: "no connection", exceptions.ChunkedEncodingError: "connection broke off"}
    return next((text for kind, text in kinds.items() if isinstance(error, kind)), type(error).__name__)
