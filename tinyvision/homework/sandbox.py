"""Running one exercise of one submission in a process of its own, which may crash, hang, print or eat memory as it likes.

A copy of the submission lies in a temporary folder, and so do home and temporary files of the process.  It starts with a clean
environment; its result comes through a pipe of its own, each line with a random token in front; what it prints comes through
another pipe, of which the beginning is kept and the rest counted.  At the end, in time or not, its whole process group is killed.

Not kept away: the network, reading other files, and a submission that searches the memory of its own process for the token or the
right answer.  Who marks people that may try this runs the command in a container and reads the files that carry a remark.
"""

import contextlib
import json
import os
import pickle
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path

from .errors import HomeworkError

KEPT = 2000                                               # bytes of what is printed that are kept
LAST = 8000                                               # bytes of its end, where the interpreter says what it crashed in
RESULTS = 4 << 20                                         # bytes of results that are read
START = 60.0                                              # seconds that a process has to start, before its own time runs
LARGEST, FILES = 16 << 20, 500                            # a submission's files: the size of one, how many


@dataclass
class Limits:
    """How long (seconds) and how large (MB) one process may be; those under way, to be killed when the marking is broken off."""

    timeout: float = 60.0
    memory: int = 2048
    live: set = field(default_factory=set)
    broken_off: bool = False

    def break_off(self):
        """End the processes under way; no further ones are started."""
        self.broken_off = True
        for process in list(self.live):
            kill(process)


@dataclass
class Outcome:
    """What came of one process: its messages, how it ended, what it printed."""

    messages: list = field(default_factory=list)
    fault: dict = None                                    # cause and diagnosis, where it did not come to its end
    printed: str = ""
    printed_bytes: int = 0
    last: str = ""                                        # the end of what it printed
    forged: bool = False                                  # something without the token came through the channel of results


def run_exercise(folder, only, task, checks, limits):
    """The results of the checks, {index: message}, and the Outcome of the last process.

    folder: that of the submission; only: its one file, or None for all of them; task: file, forbidden, spec, exercise.
    When a process dies or hangs in one check, another runs those that are left, so that one fault costs one check.
    """
    results, pending, outcome = {}, list(checks), None
    while pending and not limits.broken_off:
        outcome = ready(lambda: run_process(folder, only, {**task, "checks": pending}, limits), limits)
        unloaded = next((m for m in outcome.messages if m["kind"] == "unloaded"), None)
        loaded = any(m["kind"] == "loaded" for m in outcome.messages)
        results |= {m["index"]: m for m in outcome.messages if m["kind"] == "check"}
        left = [check for check in pending if check["index"] not in results]
        fault = unloaded or outcome.fault or {"cause": "crash", "diagnosis": "the process ended before its result was there."}
        stopped = left[:1] if loaded else left
        results |= {check["index"]: {"rows": [], "whole": False, "detail": "", **fault} for check in stopped}
        pending = left[len(stopped):]
    return results, outcome


def ready(run, limits):
    """The outcome of a process that came as far as the submission's first line; one that did not is run once more.

    Raises HomeworkError when that fails too: then the marking is at fault, and no submission may pay for it.
    """
    for _ in range(2):
        outcome = run()
        if any(message["kind"] == "ready" for message in outcome.messages) or limits.broken_off:
            return outcome
    if outcome.fault and outcome.fault["cause"] == "timeout":
        raise HomeworkError(f"a process was not ready after {START:g} s, before anything of a submission ran. Give fewer --jobs.")
    words = outcome.last.strip().splitlines() or ["it said nothing"]
    raise HomeworkError(f"a process ended before anything of a submission ran: {printable(words[-1], 300)}. Does it need more "
                        "--memory?")


def run_process(folder, only, task, limits):
    """One process in temporary folders of its own, from beginning to end."""
    token = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="tinyvision-", ignore_cleanup_errors=True) as temporary:
        temporary = os.path.realpath(temporary)
        home, copy = os.path.join(temporary, "home"), os.path.join(temporary, "submission")
        os.mkdir(home)
        copy_submission(folder, only, copy)
        task = {**task, "token": token, "folder": copy, "timeout": limits.timeout, "memory": limits.memory}
        with tempfile.TemporaryFile() as file:
            pickle.dump(task, file)
            file.seek(0)
            return tidy(watch(start(home, file), token, limits), copy + os.sep)


def copy_submission(folder, only, copy):
    """Copy the files of a submission: real files of sensible size, links left out."""
    os.mkdir(copy)
    if only:
        shutil.copyfile(Path(folder) / only, Path(copy) / only)
        return
    count = 0
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "__pycache__")
        target = Path(copy) / Path(path).relative_to(folder)
        target.mkdir(exist_ok=True)
        for name in sorted(files):
            source = Path(path) / name
            if count < FILES and not source.is_symlink() and source.is_file() and source.stat().st_size <= LARGEST:
                shutil.copyfile(source, target / name)
                count += 1


def start(home, task):
    """The process: a fresh interpreter with a clean environment, leader of its own group."""
    kept = ("PATH", "PYTHONPATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")
    mark = secrets.token_hex(8)
    environment = {name: os.environ[name] for name in kept if name in os.environ}
    environment |= dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment |= {"HOME": home, "TMPDIR": home, "TEMP": home, "TMP": home, "MPLCONFIGDIR": home, "MPLBACKEND": "Agg",
                    "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "PYTHONFAULTHANDLER": "1",
                    "PYTHONUNBUFFERED": "1", "TINYVISION_MARKING": mark}
    command = [sys.executable, "-c", "from tinyvision.homework.runner import main; main()"]
    process = subprocess.Popen(command, cwd=home, stdin=task, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment,
                               start_new_session=True)
    process.mark = mark
    return process


def watch(process, token, limits):
    """Read what comes until the process ends or its time, counted from its first message, is over; then kill what is left."""
    results, printed = Collector(process.stdout, RESULTS), Collector(process.stderr, KEPT)
    late = False
    limits.live.add(process)
    try:
        if not results.began.wait(START):
            raise subprocess.TimeoutExpired(process.args, START)
        process.wait(limits.timeout)
    except subprocess.TimeoutExpired:
        late = True
    finally:
        kill(process)
        limits.live.discard(process)
    results.stop(), printed.stop()
    messages, forged = parse(bytes(results.kept), token)
    done = any(m["kind"] in ("done", "unloaded") for m in messages)
    fault = None if done else ending(process.returncode, late, limits)
    if late and printed.count > 1 << 20:
        fault["diagnosis"] += " It printed more than a megabyte."
    text, last = (bytes(part).decode("utf-8", "replace") for part in (printed.kept, printed.last))
    return Outcome(messages, fault, text, printed.count, last, forged)


def tidy(outcome, folder):
    """Without paths of this machine; after a crash, with the line of the submission in which it happened."""
    if outcome.fault and outcome.fault["cause"] == "crash":
        outcome.printed = outcome.printed.partition("Fatal Python error:")[0]
        dump = outcome.last.rpartition("Fatal Python error:")[2]
        if found := re.search(rf'File "{re.escape(folder)}(.+?)", line (\d+)', dump):
            outcome.fault["diagnosis"] = f"{found[1]}, line {found[2]}: {outcome.fault['diagnosis']}"
    outcome.printed = outcome.printed.replace(folder, "")
    return outcome


class Collector(threading.Thread):
    """Reads a pipe to its end, keeping the first bytes and the last, and counting all.

    A process that has fled from its group may hold the pipe open; it is not waited for.
    """

    def __init__(self, pipe, keep):
        super().__init__(daemon=True)
        self.pipe, self.keep, self.kept, self.last, self.count = pipe, keep, bytearray(), b"", 0
        self.began = threading.Event()                    # something has come, or never will
        self.start()

    def run(self):
        with contextlib.suppress(OSError, ValueError):
            while data := os.read(self.pipe.fileno(), 1 << 16):
                self.kept += data[:max(0, self.keep - len(self.kept))]
                self.last = (self.last + data)[-LAST:]
                self.count += len(data)
                self.began.set()
        self.began.set()

    def stop(self):
        """Wait for the rest, but not for long."""
        self.join(1.0)
        if not self.is_alive():
            self.pipe.close()


def kill(process):
    """End the process and its children: the group, then whoever has left the group (found by its environment, on Linux)."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()
    mark = f"TINYVISION_MARKING={process.mark}".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in path.read_bytes():
                os.kill(int(path.parent.name), signal.SIGKILL)


def parse(data, token):
    """The messages among the lines, and whether there was anything else."""
    messages, forged, start = [], False, token.encode() + b" "
    for line in data.split(b"\n"):
        if not line:
            continue
        try:
            if not line.startswith(start):
                raise ValueError("no token")
            messages.append(as_message(json.loads(line[len(start):])))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            forged = True
    return messages, forged


def as_message(message):
    """The message with everything of the right kind, for a submission may have had its hand in it."""
    kind = message["kind"]
    if kind in ("ready", "loaded", "done"):
        return {"kind": kind}
    checked = {"kind": kind, **{key: printable(message[key]) for key in ("cause", "diagnosis", "detail")}}
    if kind == "unloaded":
        return checked
    if kind != "check":
        raise ValueError(kind)
    checked |= {"index": int(message["index"]), "whole": message["whole"] is True,
                "rows": [(printable(name), passed is True) for name, passed in message["rows"][:100]]}
    if "share" in message:
        checked["share"] = float(message["share"])
        if not 0 <= checked["share"] <= 1:
            raise ValueError(checked["share"])
    return checked


def printable(text, most=4000):
    """Text that does nothing to a terminal and can be written in any file: no control characters, no half characters."""
    text = str(text)[:most].encode("utf-8", "replace").decode("utf-8")
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text.replace("\t", "    "))


def ending(code, late, limits):
    """How a process ended that did not reach its end."""
    if late:
        return {"cause": "timeout", "diagnosis": f"was not done after {limits.timeout:g} s. Is there a loop that does not end?"}
    if code == 0 or code > 0:
        return {"cause": "exit", "diagnosis": f"ended the whole process (exit code {code}). A function returns its result."}
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    if name == "SIGKILL":
        return {"cause": "memory", "diagnosis": "was killed by the system (SIGKILL), as happens when memory runs out."}
    return {"cause": "crash", "diagnosis": f"crashed the interpreter ({name})."}
