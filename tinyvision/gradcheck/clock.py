"""The time that explanations may take."""

import time


def worked():
    """Seconds of this thread's own work, and an eighth of those that pass.

    On a busy machine a diagnosis is not cut short, and one that waits for something comes to an end as well.
    """
    return time.thread_time() + time.perf_counter() / 8
