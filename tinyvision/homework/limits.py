"""What a submission's process may use, where the system can say so (`resource`).

Linux knows all of it; macOS ignores the limit of memory; Windows knows none of it, and has the time limit alone.
"""

import math

try:
    import resource
    import signal
except ImportError:                                       # Windows
    resource = None

RESERVE = 128 << 20                                       # bytes that stay free for reporting that there was no more memory
FILE = 16 << 20                                           # bytes of the largest file that it may write


def apply(memory, timeout):
    """Limit this process: memory in MB, the size of a file, no new processes or threads, no core file, a last alarm.

    The marker ends the process on time; the alarm, ten seconds later, is for when the marker itself has been killed.
    """
    if resource is None:
        return
    limit(resource.RLIMIT_AS, memory << 20, (memory << 20) + RESERVE)
    limit(resource.RLIMIT_FSIZE, FILE, FILE)
    limit(resource.RLIMIT_CORE, 0, 0)
    limit(resource.RLIMIT_NPROC, 0, 0)                    # the superuser is exempt: do not mark as root
    signal.alarm(math.ceil(timeout) + 10)


def limit(which, soft, hard):
    """Lower one limit; what the system does not know or does not allow stays as it is."""
    try:
        _, most = resource.getrlimit(which)
        if most != resource.RLIM_INFINITY:
            soft, hard = min(soft, most), min(hard, most)
        resource.setrlimit(which, (soft, hard))
    except (ValueError, OSError):
        pass


def relieve():
    """Open the reserve, after memory has run out."""
    if resource is not None:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit(resource.RLIMIT_AS, hard, hard)
