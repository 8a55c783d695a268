"""What the integration tests share: runs the built command as a user would and looks at what remains.

A process that outlives its run is found in four ways, each of which is enough:
  - this process is a subreaper, so whatever loses all of its ancestors becomes our child;
  - a witness: a FIFO that each process of an item holds open, so its end proves that all of them are gone;
  - a mark in the environment that everything below a test inherits;
  - the process table below the command while it runs.
Waiting is always for a condition, with a deadline.
"""
import contextlib
import ctypes
import errno
import functools
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import unittest
import uuid

from processes import children, describe, marked, own_cgroup, stat_of, tree

TENURE = os.path.abspath(os.environ["TENURE"])
HERE = os.path.dirname(os.path.abspath(__file__))
NASTY = os.path.join(HERE, "nasty.py")
AUDIT = "audit: tasks 0, timers 0, processes 0, descriptors 0 left"
BEGAN = time.time() - 0.1  # the kernel stamps files with a clock that lags by a tick
LIMIT = 30.0  # seconds that nothing here takes unless it hangs

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)
if _libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
    raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")


# The command must not think that signals are to be ignored, because the tests run under nohup or in the background.
for _number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM, signal.SIGTSTP):
    signal.signal(_number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)


class FairClock:
    """Stands still when the machine does, or when it has no time for us: a thread that ticks tells."""

    TICK = 0.02

    def __init__(self):
        self.seen = 0.0, time.monotonic()  # seconds stood still, and when that was looked at
        threading.Thread(target=self.tick, daemon=True).start()

    def tick(self):
        while True:
            time.sleep(self.TICK)
            self.seen = self.stood_still(), time.monotonic()

    def stood_still(self):
        still, last = self.seen
        return still + max(0.0, time.monotonic() - last - 1.5 * self.TICK)

    def now(self):
        """For upper bounds. What must not come too early is measured with time.monotonic()."""
        return time.monotonic() - self.stood_still()


CLOCK = FairClock()


def poll_until(condition, what, limit=LIMIT, every=0.005):
    """The first true value of condition(); fails after `limit` seconds."""
    end = CLOCK.now() + limit
    while True:
        late = CLOCK.now() > end  # before the look: one more after a pause
        value = condition()
        if value:
            return value
        if late:
            raise AssertionError(f"waited {limit} s for {what() if callable(what) else what}")
        time.sleep(every)


def remove_empty_cgroup(path):
    """Removes a control group whose processes are at their end: they leave it after all else that tells of them."""
    def removed():
        try:
            os.rmdir(path)
        except FileNotFoundError:  # another run has done it
            pass
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            return False
        return True
    poll_until(removed, f"the control group {path} to be empty")


def given_time(test):
    """For a test with a time limit before which something else has to happen: all of its times are multiples of
    self.second. If it fails and the machine stood still meanwhile, it is run again, from its set-up on, with a longer
    second. On a machine that gets on it fails at once."""
    @functools.wraps(test)
    def patient(case):
        for case.second in (1, 3, 9):
            began = CLOCK.stood_still()
            try:
                return test(case)
            except unittest.SkipTest:
                raise
            except Exception:  # also of reading what an item had no time to write
                if case.second == 9 or CLOCK.stood_still() - began < 0.1:
                    raise
            case.doCleanups()
            case.setUp()
    return patient


# ---- results of a run

class Result:
    """What a finished run has shown to its user."""

    def __init__(self, status, out, err, wall, took):
        self.status = status  # exit status; -N when signal N ended it
        self.out = out
        self.err = err
        self.wall = wall
        self.took = took  # as wall, by the fair clock: for upper bounds
        self.text = err.decode("utf-8", "replace")
        self.lines = self.text.splitlines()

    @property
    def counts(self):
        """The numbers of the summary line, as {"done": 3, "timed out": 0, …}."""
        line = next(line for line in reversed(self.lines) if line.startswith("summary "))
        return {name: int(number.replace(",", ""))
                for name, number in re.findall(r"(done|failed|timed out|retried) ([\d,]+)", line)}

    @property
    def events(self):
        """The events of --json, each line of standard output one object."""
        assert self.out.endswith(b"\n"), self.out[-200:]
        return [json.loads(line) for line in self.out.decode("utf-8").splitlines()]

    def __str__(self):
        return (f"status {self.status} after {self.wall:.3f} s\n--- stdout ({len(self.out)} bytes)\n"
                f"{self.out[:300]!r}\n--- stderr\n{self.text[-4000:]}---")


class Running:
    """A run that goes on. Ended and awaited by the test case, whatever happens."""

    def __init__(self, case, popen):
        self.case = case
        self.popen = popen
        self.pid = popen.pid
        self.started = time.monotonic()
        self.started_fair = CLOCK.now()

    def cgroup(self):
        """The control group that the run has left, or None. An older one was left by a killed run of the same pid."""
        with contextlib.suppress(FileNotFoundError):
            path = os.path.join(CGROUP or "/nowhere", f"tenure-{self.pid}")
            if os.stat(path).st_mtime >= BEGAN:
                return path
        return None

    def engine(self):
        return poll_until(lambda: self.popen.poll() is None and children(self.pid), "the engine")[0]

    def wardens(self, engine=None):
        engine = engine or self.engine()
        return [pid for pid in children(engine) if (stat_of(pid) or ("",))[0] == "tenure-warden"]

    def own_processes(self):
        engine = self.engine()
        return [self.pid, engine] + self.wardens(engine)

    def signal(self, number):
        self.popen.send_signal(number)

    def finish(self, limit=LIMIT):
        end = CLOCK.now() + limit
        while True:
            try:
                out, err = self.popen.communicate(timeout=max(0.1, end - CLOCK.now()))
                break
            except subprocess.TimeoutExpired:
                if CLOCK.now() >= end:
                    left = describe([self.pid] + tree(self.pid))
                    self.case.end_everything()
                    raise AssertionError(f"no end after {limit} s:\n{left}") from None
        return Result(self.popen.returncode, out or b"", err or b"", time.monotonic() - self.started,
                      CLOCK.now() - self.started_fair)


class Witness:
    """A FIFO that the processes of items hold open, and write a line into when they are there."""

    def __init__(self, path):
        os.mkfifo(path)
        os.chmod(path, 0o666)
        self.path = path
        self.fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.seen = b""
        self.open = False

    def look(self):
        """Reads what is there. Returns True while somebody holds it."""
        while True:
            try:
                chunk = os.read(self.fd, 65536)
            except BlockingIOError:
                self.open = True
                return True
            if not chunk:
                self.open = False
                return False
            self.seen += chunk

    def lines(self):
        self.look()
        return self.seen.decode().split("\n")[:-1]

    def wait_lines(self, count, limit=LIMIT):
        return poll_until(lambda: len(self.lines()) >= count and self.lines(),
                          lambda: f"{count} lines of the witness, which has {self.lines()}", limit)

    def close(self):
        os.close(self.fd)


# First words of scripts. HOLD: holds the witness and says so.
HOLD = 'exec 9>"$WITNESS"; echo "$1 $$" >&9; '
# They write a line into "heard" for each SIGTERM. POLITE ends then, STUBBORN does not. Both say that they are there
# only when they are ready for it: a shell forgets a signal that comes between fork and exec of a child of its own.
POLITE = ('exec 9>"$WITNESS"; trap "echo term >> \\"$D/heard\\"; exit 0" TERM; sleep 60 & '
          'until [ "$(cat /proc/$!/comm)" = sleep ]; do :; done; echo "$1 $$" >&9; wait')
STUBBORN = ('exec 9>"$WITNESS"; trap "echo term >> \\"$D/heard\\"" TERM; echo "$1 $$" >&9; '
            'while :; do sleep 0.05; done')


class Case(unittest.TestCase):
    """A test with a folder of its own, a mark, a witness, and nothing left when it ends."""

    maxDiff = None

    def setUp(self):
        self.dir = tempfile.mkdtemp(prefix="tenure-it-")
        os.chmod(self.dir, 0o755)
        self.addCleanup(shutil.rmtree, self.dir, ignore_errors=True)
        self.mark = b"TENURE_IT_" + uuid.uuid4().hex.encode()
        self.tenure, self.nasty, self.user = TENURE, NASTY, {}
        if AS_NOBODY:
            self.user, self.tenure = as_nobody(self)
            self.nasty = shutil.copy(NASTY, os.path.dirname(self.tenure))
            os.chmod(self.nasty, 0o755)
            os.chown(self.dir, NOBODY, NOBODY)
        self.witness = Witness(self.path("witness"))
        self.addCleanup(self.witness.close)
        self.running = []
        self.addCleanup(self.close_streams)
        self.addCleanup(self.end_everything)

    def path(self, *names):
        return os.path.join(self.dir, *names)

    def write(self, name, content, mode=0o644):
        data = content if isinstance(content, bytes) else content.encode()
        with open(self.path(name), "wb") as file:
            file.write(data)
        os.chmod(self.path(name), mode)
        return self.path(name)

    def read(self, *names):
        with open(self.path(*names), "rb") as file:
            return file.read()

    def read_lines(self, name):
        try:
            return self.read(name).decode().splitlines()
        except FileNotFoundError:
            return []

    def environment(self, **more):
        env = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "TMPDIR")}
        env.update(MARK=self.mark.decode(), WITNESS=self.witness.path, TERM="xterm", LC_ALL="C.UTF-8", D=self.dir,
                   T=self.tenure, NASTY=self.nasty)
        env.update(more)
        return env

    def start(self, *args, command=None, env=None, **more):
        """`tenure map ARGS…`, or `command`, without waiting for its end."""
        words = command or [self.tenure, "map", *args]
        more = {**self.user, **more, "preexec_fn": with_us(more.get("preexec_fn"))}
        more.setdefault("stdin", subprocess.DEVNULL)
        more.setdefault("stdout", subprocess.PIPE)
        more.setdefault("stderr", subprocess.PIPE)
        more.setdefault("cwd", self.dir)
        run = Running(self, subprocess.Popen(words, env=env or self.environment(), **more))
        self.running.append(run)
        return run

    def run_map(self, *args, input=None, limit=LIMIT, status=None, clean=True, **more):
        """`tenure map ARGS…` to its end. Looks at the audit line, and that nothing is left, if `clean`."""
        if input is not None:
            file = tempfile.TemporaryFile()
            file.write(input)
            file.seek(0)
            more["stdin"] = file
            self.addCleanup(file.close)
        result = self.start(*args, **more).finish(limit)
        if status is not None:
            self.assertEqual(result.status, status, result)
        if clean:
            self.assert_clean(result)
        return result

    def assert_clean(self, result):
        """The audit line is the last one and all 0; no process of the run lives."""
        self.assert_nothing_lives(result)
        self.assertTrue(result.lines, result)
        self.assertEqual(result.lines[-1], AUDIT, result)

    def assert_nothing_lives(self, result=None):
        left = marked(self.mark)
        self.assertFalse(left, f"left alive:\n{describe(left)}\n{result}")
        ours = [pid for pid in children(os.getpid()) if pid not in [run.pid for run in self.running]]
        self.assertFalse(ours, f"escaped to us:\n{describe(ours)}\n{result}")
        self.assertFalse(self.witness.look(), f"somebody holds the witness\n{result}")
        self.assert_no_cgroup_is_left()

    def assert_no_cgroup_is_left(self):
        left = [path for run in self.running if (path := run.cgroup())]
        self.assertFalse(left, "control groups are left")

    def wait_nothing_lives(self, limit):
        """Reaps what became ours; fails unless all is gone within `limit` seconds. Returns how long it took."""
        begin = time.monotonic()

        def gone():
            self.reap_strays()
            return not self.witness.look() and not marked(self.mark) and not self.strays()
        poll_until(gone, lambda: "the end of\n" + describe(set(marked(self.mark) + self.strays())) +
                   f"\nwitness held: {self.witness.look()}", limit)
        took = time.monotonic() - begin
        self.assert_no_cgroup_is_left()
        return took

    def strays(self):
        known = [run.pid for run in self.running]
        return [pid for pid in children(os.getpid()) if pid not in known]

    def reap_strays(self):
        for pid in self.strays():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)

    def end_everything(self):
        """Kills what a failed test has left, generation by generation, and complains about nothing."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            alive = [run for run in self.running if run.popen.poll() is None]
            for run in alive:
                run.popen.kill()
            for pid in self.strays() + marked(self.mark):
                with contextlib.suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            self.reap_strays()
            if not alive and not self.strays() and not marked(self.mark):
                break
            time.sleep(0.005)

    def close_streams(self):
        for run in self.running:
            for stream in (run.popen.stdin, run.popen.stdout, run.popen.stderr):
                if stream:
                    stream.close()


# ---- other users, limits

def with_us(then=None):
    """A preexec_fn: what is started ends with this process, even if a time limit of ctest kills it."""
    def prepare():
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if then:
            then()
    return prepare


CGROUP = own_cgroup()

# All of a test is run by a user without rights: then there is no control group, and wardens are on their own.
AS_NOBODY = os.geteuid() == 0 and bool(os.environ.get("TENURE_IT_AS_NOBODY"))
NOBODY = 100_000 + os.getpid() % 100_000  # a user without a name, and without any other process


def as_nobody(case):
    """What makes a run one of an unprivileged user's: (words for Popen, path of the command).

    An unprivileged tester is one already."""
    if os.geteuid() != 0:
        return {}, TENURE
    folder = tempfile.mkdtemp(prefix="tenure-it-bin-")
    os.chmod(folder, 0o755)
    case.addCleanup(shutil.rmtree, folder, ignore_errors=True)
    copy = shutil.copy(TENURE, folder)
    os.chmod(copy, 0o755)
    return {"user": NOBODY, "group": NOBODY, "extra_groups": []}, copy


def isolation_works(case):
    """Whether the user of the test may make PID namespaces here, asked of another program."""
    flags = "-rpm" if os.geteuid() != 0 or AS_NOBODY else "-pm"
    return subprocess.run(["unshare", flags, "--fork", "mount", "-t", "proc", "proc", "/proc"], capture_output=True,
                          **case.user).returncode == 0


def limit_to(which, value):
    """A preexec_fn that lowers one resource limit."""
    return lambda: resource.setrlimit(which, (value, value))
