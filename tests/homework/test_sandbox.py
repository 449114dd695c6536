"""What a submission can do to the marking: lose its own points."""

import os
import signal
import subprocess
import sys
import tempfile
import time

import pytest

from tests.homework.kit import LINEAR, SPECS, SUBMISSIONS, marked, submission
from tinyvision import cli
from tinyvision.homework import HomeworkError, sandbox

HOSTILE = SUBMISSIONS / "hostile"
pytestmark = pytest.mark.skipif(os.name != "posix", reason="crashes and limits as POSIX systems have them")

# Of each submission in submissions/hostile: points, causes, words of the sentence.
EXPECTED = {
    "borrowed": (0, ["forbidden-import"], "linear.py, line 5: imports tinyvision"),
    "changed": (0, ["forward-changed"], "linear_forward no longer computes"),
    "chatty": (10, [""], ""),
    "crash": (0, ["crash"], "SIGSEGV"),
    "fork": (None, ["", "error"], ""),                    # where processes can be limited, there is no fork
    "forged": (0, ["exit"], "exit code 0"),
    "helper": (0, ["import-error"], "linear.py, line 3: No module named 'helpers'"),
    "inplace": (5, ["modified-in-place"], "dout"),
    "memory": (0, ["memory"], "emory"),
    "missing": (0, ["missing-function"], "linear_backward"),
    "quit": (0, ["exit"], "exit code 0"),
    "recursion": (0, ["error"], "RecursionError"),
    "sysexit": (0, ["exit"], "SystemExit"),
    "tampered": (0, ["tampered"], "tinyvision.gradcheck"),
    "writes": (10, [""], ""),
}
ENDLESS = {"flood": "more than a megabyte", "hang": "a loop that does not end"}


BORROWED = LINEAR.replace("    x, w = cache", "    import torch\n    x, w = cache")
MORE = {  # the text of linear.py, the cause, words of the sentence; nobody gets a point
    "a syntax error": (LINEAR.replace("cache):", "cache:"), "syntax-error", "linear.py, line 7: "),
    "a null byte": (LINEAR + "\0", "syntax-error", "null byte"),
    "an error on import": (LINEAR + "1 / 0\n", "error", "linear.py, line 10: ZeroDivisionError"),
    "exit on import": (LINEAR + "import os\nos._exit(0)\n", "exit", "exit code 0"),
    "input": (LINEAR + "input('points? ')\n", "error", "EOFError"),
    "no return": (LINEAR.replace("return x @ w + b, (x, w)", "x @ w + b, (x, w)"), "forward-changed", "lack its return"),
    "no words": (LINEAR + "class E(Exception):\n    def __str__(self):\n        raise self\n\nraise E\n", "exit", "exit code 1"),
    "a borrowed engine inside": (BORROWED, "forbidden-import", "linear.py, line 8: imports torch"),
    "an error swallowed": (LINEAR + "try:\n    import torch\nexcept Exception:\n    pass\n", "forbidden-import", "imports torch"),
    "control characters": (LINEAR + "raise ValueError('\\x1b[31m\\u202e\\ud800' + 'x' * 10 ** 5)\n", "error", "Error: ?[31m??x"),
    "a module not handed in": (LINEAR + "import tests_of_mine\n", "import-error", "No module named 'tests_of_mine'"),
    "another numpy": (LINEAR + "np.abs = np.zeros_like\n", "tampered", "numpy.abs"),
    "another verdict": (LINEAR + "import sys\nsys.modules['tinyvision.gradcheck.report'].GradReport.passed = True\n", "tampered",
                        "GradReport.passed"),
}


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture(scope="module")
def marks(tmp_path_factory):
    """All of them as one batch, but for those that would take all the time there is."""
    folder = tmp_path_factory.mktemp("hostile")
    for name in EXPECTED:
        submission(folder / name, linear=(HOSTILE / name / "linear.py").read_text(encoding="utf-8"))
    for name, (text, _, _) in MORE.items():
        submission(folder / name, linear=text)
    before = files(folder)
    found = {mark.name: mark.exercises[0] for mark in marked(folder, memory=300).submissions}
    assert files(folder) == before                        # no cache, no file left behind
    return found


def test_all_are_there(marks):
    assert marks.keys() == EXPECTED.keys() | MORE.keys()
    assert EXPECTED.keys() | ENDLESS.keys() == {path.name for path in HOSTILE.iterdir()}


@pytest.mark.parametrize("name", EXPECTED)
def test_hostile(name, marks):
    points, causes, words = EXPECTED[name]
    [check] = marks[name].checks
    assert points is None or check.points == points
    assert check.cause in causes and words in check.diagnosis


@pytest.mark.parametrize("name", MORE)
def test_more_of_the_kind(name, marks):
    _, cause, words = MORE[name]
    [check] = marks[name].checks
    assert (check.points, check.cause) == (0, cause) and words in check.diagnosis and len(check.diagnosis) < 5000


def test_forgery_is_remarked(marks):
    assert "writes to the channel of the results" in marks["forged"].remarks
    assert not any("channel" in remark for name in marks if name != "forged" for remark in marks[name].remarks)


def test_what_is_printed_is_kept_in_part_and_counted(marks):
    text = marks["chatty"].printed
    assert text.startswith("dout is (4, 5) ---") and "bytes were printed; the first 2,000 are kept" in text and len(text) < 2200
    assert marks["inplace"].printed == ""


def test_a_crash_tells_its_line_and_no_path_of_this_machine(marks):
    assert marks["crash"].checks[0].diagnosis.startswith("linear.py, line 13: ") and marks["crash"].printed == ""
    assert not any(tempfile.gettempdir() in check.diagnosis + check.detail for mark in marks.values() for check in mark.checks)


@pytest.mark.parametrize("name", ENDLESS)
def test_what_does_not_end(name, capfd):
    [mark] = marked(HOSTILE / name / "linear.py", timeout=1.5).submissions
    assert mark.points == 0 and mark.exercises[0].causes == ["timeout"] and ENDLESS[name] in mark.exercises[0].checks[0].diagnosis
    assert capfd.readouterr() == ("", "")                 # nothing of the flood reaches the terminal
    assert len(mark.exercises[0].printed) < 2200 and "\x1b" not in mark.exercises[0].printed


def test_one_fault_costs_one_check(tmp_path):
    """The first check of max pooling ends the process; the second is run in another."""
    text = (SUBMISSIONS / "right" / "max_pool.py").read_text(encoding="utf-8")
    text = text.replace("    dx = np.zeros_like(x)", "    stride == 2 and __import__('os')._exit(1)\n    dx = np.zeros_like(x)")
    [mark] = marked(submission(tmp_path, max_pool=text) / "max_pool.py").submissions
    assert [(check.points, check.cause) for check in mark.exercises[0].checks] == [(0, "exit"), (5, "")]


def test_the_environment_is_clean(tmp_path, monkeypatch):
    """No secret of the marker's shell, no home of his, and the folder is a copy."""
    monkeypatch.setenv("SECRET_TOKEN", "1234")
    text = LINEAR + f"""
import os
assert 'SECRET_TOKEN' not in os.environ
assert os.environ['HOME'] != {os.path.expanduser("~")!r}
assert not __file__.startswith({str(tmp_path)!r})
assert os.listdir() == ['linear.py']
"""
    [mark] = marked(submission(tmp_path, linear=text, beside="") / "linear.py").submissions
    assert mark.points == 10


def gone(pid, within=10):
    """Whether a process ends in time; a zombie that nobody buries has ended."""
    for _ in range(within * 20):
        try:
            with open(f"/proc/{pid}/stat") as file:
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


def fleeing(path):
    """A submission whose child leaves the process group, tells its number and stays."""
    return LINEAR + f"""
import os, time
try:
    child = os.fork()
except OSError:
    child = None
if child == 0:
    os.setsid()
    with open({str(path)!r}, "w") as file:
        file.write(str(os.getpid()) + " ")
    time.sleep(300)
    os._exit(0)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are found in /proc")
def test_nothing_is_left_running(tmp_path):
    [mark] = marked(submission(tmp_path, linear=fleeing(tmp_path / "pid")) / "linear.py").submissions
    assert mark.points == 10
    if (tmp_path / "pid").exists():                       # not where forks are forbidden
        assert gone(int((tmp_path / "pid").read_text()))


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="processes are found in /proc")
def test_ctrl_c_ends_the_submissions_too(tmp_path):
    text = LINEAR + f"\nimport os\nopen({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()) + ' ')\nwhile True:\n    pass\n"
    submission(tmp_path, linear=text)
    command = [sys.executable, "-m", "tinyvision", "gradcheck", str(tmp_path / "linear.py"), "--csv", str(tmp_path / "marks.csv")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        until = time.monotonic() + 60
        while not ((tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith(" ")):
            assert time.monotonic() < until
            time.sleep(0.02)
        run.send_signal(signal.SIGINT)
        _, printed = run.communicate(timeout=60)
    assert (run.returncode, printed) == (130, "tinyvision: interrupted; nothing was saved.\n")
    assert gone(int((tmp_path / "pid").read_text())) and not (tmp_path / "marks.csv").exists()


def test_a_marking_that_cannot_start_blames_nobody(tmp_path, monkeypatch):
    """The specification fails in the process, or the process has no time to start: no submission gets a mark for that."""
    with monkeypatch.context() as patch, pytest.raises(HomeworkError, match="not ready after 0.001 s.*--jobs"):
        patch.setattr(sandbox, "START", 0.001)
        marked(submission(tmp_path, linear=LINEAR) / "linear.py")
    text = (SPECS / "course.py").read_text(encoding="utf-8")
    text += "\nimport os\nassert 'TINYVISION_MARKING' not in os.environ, 'no luck'\n"
    (tmp_path / "spec.py").write_text(text, encoding="utf-8")
    with pytest.raises(HomeworkError, match="before anything of a submission ran: .*no luck"):
        marked(SUBMISSIONS / "course", tmp_path / "spec.py")


def test_the_exit_code_is_that_of_the_marking(capsys):
    assert cli.main(["gradcheck", str(HOSTILE / "quit" / "linear.py")]) == 0
    assert "0 / 10" in capsys.readouterr().out
