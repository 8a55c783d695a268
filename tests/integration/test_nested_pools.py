"""The example with a pool in a worker of a pool: how it ends when tasks have thrown, when one hangs, when it is killed."""
import contextlib
import os
import re
import signal
import subprocess
import unittest
import uuid

from harness import CLOCK, LIMIT, given_time, poll_until
from processes import describe, marked

PROGRAM = os.path.join(os.environ["EXAMPLES"], "05_nested_pools_exit")
THROWN = "3 tasks of the inner pool have thrown, and what they threw is kept"
STUCK = "this one never returns"


@unittest.skipUnless(os.path.exists(PROGRAM), "the examples are not built")
class NestedPools(unittest.TestCase):
    def start(self, *mode):
        self.mark = f"tenure-test-{uuid.uuid4()}"
        program = subprocess.Popen([PROGRAM, *mode], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env={**os.environ, "TENURE_TEST_MARK": self.mark})
        self.addCleanup(program.communicate)
        self.addCleanup(self.end_what_is_left)
        self.addCleanup(program.kill)  # does nothing once it has been waited for
        return program

    def end_what_is_left(self):
        for pid in self.left():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def left(self):
        return marked(self.mark.encode())

    def lines_of_a_run(self, *mode):
        began = CLOCK.now()
        program = self.start(*mode)
        out, err = program.communicate(timeout=LIMIT)
        took = CLOCK.now() - began
        self.assertEqual((program.returncode, err), (0, ""), out)
        self.assertEqual(self.left(), [])
        self.assertLess(took, self.second)
        return [re.sub("[0-9]+ ms", "N ms", line) for line in out.splitlines()]

    @given_time
    def test_three_throw(self):
        self.assertEqual(self.lines_of_a_run(), [
            THROWN, "over after N ms", "left: 0 tasks, 0 timers, 0 descriptors, 0 processes"])

    @given_time
    def test_one_never_returns(self):
        lines = self.lines_of_a_run("stuck")
        if STUCK in lines:  # unless it had no time to say so
            lines.remove(STUCK)
        self.assertEqual(len(lines), 4, lines)
        self.assertRegex(lines.pop(1), "^the one that never returns: .*N ms")
        self.assertEqual(lines, [
            THROWN, "over after N ms", "left: 0 tasks, 0 timers, 0 descriptors, 0 processes"])

    @given_time
    def test_the_outermost_is_killed(self):
        program = self.start("wait")
        self.assertEqual([program.stdout.readline().rstrip() for _ in range(2)], [THROWN, STUCK])
        self.assertGreaterEqual(len(self.left()), 5)  # with each pool's supervisor, and a worker of each
        began = CLOCK.now()
        program.kill()
        self.assertEqual(program.wait(LIMIT), -signal.SIGKILL)
        poll_until(lambda: not self.left(), lambda: f"the end of\n{describe(self.left())}")
        self.assertLess(CLOCK.now() - began, self.second)


if __name__ == "__main__":
    unittest.main()
