"""--jobs, --timeout, --grace, --deadline, --retries: what they promise, seen from outside."""
import contextlib
import os
import signal
import subprocess

from harness import HOLD, LIMIT, Case, given_time, isolation_works, poll_until, remove_empty_cgroup
from processes import stat_of


class Jobs(Case):
    # Each item says when it comes and goes. It stays until as many as `count` have been here, then a bit longer.
    SCRIPT = ('echo "+ $1" >> "$D/log"; while [ "$(grep -c "^+" "$D/log")" -lt "$COUNT" ]; do sleep 0.01; done; '
              'sleep 0.05; echo "- $1" >> "$D/log"')

    def most_at_once(self):
        now = most = 0
        for line in self.read_lines("log"):
            now += 1 if line.startswith("+") else -1
            most = max(most, now)
        return most

    def test_n_at_once_and_never_more(self):
        for jobs in (1, 3, 8):
            with self.subTest(jobs):
                self.write("log", "")
                items = [str(n) for n in range(2 * jobs + 1)]
                self.run_map(f"-j{jobs}", "sh", "-c", self.SCRIPT, "sh", ":::", *items, status=0,
                             env=self.environment(COUNT=str(jobs)))
                self.assertEqual(self.most_at_once(), jobs)

    def test_two_hundred_at_once(self):
        run = self.start("-j200", "sh", "-c", HOLD + 'while [ ! -e "$D/go" ]; do sleep 0.2; done', "sh", ":::",
                         *(str(n) for n in range(230)))
        self.witness.wait_lines(200)
        self.assertEqual(len(run.wardens()), 200)
        self.write("go", "")
        result = run.finish()
        self.assert_clean(result)
        self.assertEqual((result.status, result.counts["done"]), (0, 230), result)

    def test_more_slots_than_items_cost_nothing(self):
        run = self.start("-j4096", "sh", "-c", HOLD + 'while [ ! -e "$D/go" ]; do sleep 0.01; done', "sh", ":::", "a",
                         "b")
        self.witness.wait_lines(2)
        self.assertEqual(len(run.wardens()), 2)
        self.write("go", "")
        result = run.finish()
        self.assert_clean(result)
        self.assertEqual(result.counts["done"], 2, result)

    def test_waiting_costs_no_cpu(self):
        run = self.start("-j2", "sh", "-c", HOLD + "exec sleep 60", "sh", ":::", "a", "b")
        self.witness.wait_lines(2)
        own = run.own_processes()
        before = self.cpu_ticks(own)
        self.assertRaises(subprocess.TimeoutExpired, run.popen.wait, 1.2)
        self.assertLessEqual(self.cpu_ticks(own) - before, 3)  # of 10 ms, of all four processes
        run.signal(signal.SIGINT)
        self.assertEqual(run.finish().status, -signal.SIGINT)

    def cpu_ticks(self, pids):
        total = 0
        for pid in pids:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
                fields = file.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total

    def test_the_default_is_the_cpus_that_may_be_used(self):
        allowed = sorted(os.sched_getaffinity(0))
        for cpus in (allowed[:1], allowed[:2]):
            with self.subTest(cpus=cpus):
                self.write("log", "")
                quota = min(len(cpus), self.quota() or len(cpus))
                self.run_map("sh", "-c", self.SCRIPT, "sh", ":::", "1", "2", "3", "4", "5", status=0,
                             env=self.environment(COUNT=str(quota)),
                             preexec_fn=lambda cpus=cpus: os.sched_setaffinity(0, cpus))
                self.assertEqual(self.most_at_once(), quota)

    def quota(self):
        """The CPU quota that this test itself runs under, in whole CPUs; None without one."""
        found = []
        with open("/proc/self/cgroup", encoding="utf-8") as groups:
            for _, names, group in (line.rstrip("\n").split(":", 2) for line in groups):
                if names and "cpu" not in names.split(","):
                    continue
                top, name = ("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us") if names else ("/sys/fs/cgroup", "cpu.max")
                while group:  # of each group above as well; a container shows its own one as the topmost
                    with contextlib.suppress(OSError), open(f"{top}{group}/{name}", encoding="ascii") as file:
                        first = file.read().split()[0]
                        found += [] if first in ("max", "-1") else [-(-int(first) // 100_000)]
                    group = os.path.dirname(group) if group != "/" else ""
        return min(found, default=None)

    def test_the_cgroup_quota_is_respected(self):
        for parent, limit, value in (("/sys/fs/cgroup/cpu", "cpu.cfs_quota_us", "50000"),
                                     ("/sys/fs/cgroup", "cpu.max", "50000 100000")):
            group = os.path.join(parent, f"tenure-it-{os.getpid()}")
            try:
                os.mkdir(group)
                self.addCleanup(remove_empty_cgroup, group)
                with open(os.path.join(group, limit), "w", encoding="ascii") as file:
                    file.write(value)
            except OSError:
                continue  # not this kind of hierarchy, or not ours to change
            def enter(name=os.path.join(group, "cgroup.procs")):
                with open(name, "w", encoding="ascii") as file:
                    file.write("0")
            self.write("log", "")
            self.run_map("sh", "-c", self.SCRIPT, "sh", ":::", "1", "2", "3", status=0,
                         env=self.environment(COUNT="1"), preexec_fn=enter)
            self.assertEqual(self.most_at_once(), 1)
            return
        # No quota can be made here: then more than the CPUs must not run at once without one.
        self.write("log", "")
        self.run_map("sh", "-c", self.SCRIPT, "sh", ":::", "1", "2", "3", status=0, env=self.environment(COUNT="1"))
        self.assertLessEqual(self.most_at_once(), len(os.sched_getaffinity(0)))


class Timeout(Case):
    @given_time
    def test_an_item_that_takes_too_long_is_ended_and_counted(self):
        run = self.run_map("-j2", "--timeout", f"{self.second}s", "sleep", ":::", "60", "0.01", status=1)
        self.assertEqual(run.counts, {"done": 1, "failed": 0, "timed out": 1, "retried": 0})
        self.assertLess(run.took, self.second + 2)
        self.assertIn("timed out (1 item)", run.text)

    @given_time
    def test_it_gets_sigterm_first_and_may_clean_up(self):
        script = 'trap "echo cleaned; exit 0" TERM; sleep 60 & wait'
        run = self.run_map("--timeout", f"{self.second}s", "sh", "-c", script, ":::", "x", status=1)
        self.assertEqual(run.out, b"cleaned\n")
        self.assertEqual(run.counts["timed out"], 1)

    @given_time
    def test_what_ignores_sigterm_gets_sigkill_after_the_grace(self):
        script = ('trap "date +%s.%N >> $D/term" TERM; date +%s.%N >> $D/start; '
                  "while :; do sleep 0.02; date +%s.%N >> $D/alive; done")
        run = self.run_map("--timeout", f"{self.second}s", "--grace", f"{self.second}s", "sh", "-c", script, ":::", "x",
                           status=1)
        self.assertEqual(run.counts["timed out"], 1)
        start, term, alive = (float(self.read_lines(name)[-1]) for name in ("start", "term", "alive"))
        self.assertEqual(len(self.read_lines("term")), 1)
        self.assertGreater(term - start, 0.2)
        self.assertGreater(alive - term, 0.2)
        self.assertLess(run.took, 2 * self.second + 2)

    def test_grace_zero_kills_at_once(self):
        run = self.run_map("--timeout", "200ms", "--grace", "0s", "sh", "-c",
                           'trap "" TERM; while :; do sleep 0.02; done', ":::", "x", status=1)
        self.assertEqual(run.counts["timed out"], 1)
        self.assertLess(run.took, 2)

    @given_time
    def test_a_child_that_stops_itself(self):
        run = self.run_map("-j2", "--timeout", f"{self.second}s", "sh", "-c",
                           'trap "echo heard; exit 5" TERM; [ "$1" = b ] || kill -STOP $$', "sh", ":::", "a", "b",
                           status=1)
        self.assertEqual(run.counts, {"done": 1, "failed": 0, "timed out": 1, "retried": 0})
        self.assertEqual(run.out, b"heard\n")  # it is continued so that it can obey SIGTERM
        self.assertLess(run.took, self.second + 2)

    def test_a_child_that_stops_itself_and_is_continued_by_somebody(self):
        run = self.start("-j1", "sh", "-c", HOLD + "kill -STOP $$; echo went on", "sh", ":::", "a")
        pid = int(self.witness.wait_lines(1)[0].split()[1])
        poll_until(lambda: stat_of(pid)[1] == "T", "the item to stop")
        os.kill(pid, 18)  # SIGCONT
        result = run.finish()
        self.assertEqual((result.status, result.out), (0, b"went on\n"), result)

    @given_time
    def test_an_item_that_was_killed_does_not_harm_the_next_one_of_its_slot(self):
        # A control group that was killed once takes no more processes on some kernels: it must not be used again.
        script = 'case $1 in bad) trap "" TERM; while :; do sleep 0.05; done;; esac; echo "$1"'
        for words in ([], ["--isolate"]):
            run = self.run_map("-j1", "--timeout", f"{self.second}s", "--grace", "0s", *words, "sh", "-c", script, "sh",
                               ":::", "bad", "b", "c", "bad", "d", status=1)
            if not words or isolation_works(self):
                self.assertEqual(run.out, b"b\nc\nd\n", run)
                self.assertEqual((run.counts["done"], run.counts["timed out"]), (3, 2), run)

    @given_time
    def test_the_line_of_the_issue(self):
        # Two items that ignore SIGTERM and start a sleep in a session of its own.
        script = HOLD + 'trap "" TERM; setsid sleep 61.25 & while :; do sleep 0.05; done'
        run = self.run_map("-j2", "--timeout", f"{self.second}s", "--grace", "500ms", "sh", "-c", script, "sh", ":::",
                           "a", "b", status=1)
        self.assertLess(run.took, self.second + 0.5 + 2)
        self.assertEqual(run.counts["timed out"], 2)
        self.assertEqual(len(self.witness.lines()), 2)
        found = subprocess.run(["pgrep", "-f", "sleep 61.25"], capture_output=True)
        self.assertEqual((found.returncode, found.stdout), (1, b""))

    @given_time
    def test_timeouts_count_from_the_start_of_each_item(self):
        run = self.run_map("-j1", "--timeout", f"{self.second}s", "sleep", ":::", *[f"{0.4 * self.second}"] * 3,
                           status=0)
        self.assertEqual(run.counts["done"], 3)


class Deadline(Case):
    @given_time
    def test_the_whole_run_ends_with_124(self):
        script = HOLD + "exec sleep 60"
        run = self.run_map("-j2", "--deadline", f"{self.second}s", "sh", "-c", script, "sh", ":::", *"abcde", status=124)
        self.assertLess(run.took, self.second + 3)
        self.assertEqual(run.counts["done"], 0)
        self.assertIn("ended     by --deadline", run.text)
        self.assertIn("2 items while running", run.text)
        self.assertIn("3 items not started", run.text)

    @given_time
    def test_items_are_given_their_grace(self):
        script = HOLD + 'trap "echo bye; exit 0" TERM; sleep 60 & wait'
        run = self.run_map("--deadline", f"{self.second}s", "sh", "-c", script, "sh", ":::", "a", status=124)
        self.assertEqual(run.out, b"bye\n")

    def test_a_run_that_is_done_in_time_is_not_touched(self):
        run = self.run_map("--deadline", f"{2 * LIMIT}s", "true", ":::", "a", status=0)
        self.assertLess(run.took, 10)

    def test_it_fires_while_waiting_for_standard_input(self):
        run = self.start("--deadline", "300ms", "cat", stdin=subprocess.PIPE)
        self.assertEqual(run.popen.wait(10), 124)
        result = run.finish()
        self.assert_clean(result)
        self.assertIn("not read yet", result.text)

    def test_it_fires_while_an_item_waits_to_be_tried_again(self):
        run = self.run_map("--deadline", "500ms", "--retries", "1000", "false", ":::", "a", status=124)
        self.assertLess(run.took, 5)


class Retries(Case):
    SCRIPT = 'date +%s.%N >> "$D/try-$1"; [ "$(wc -l < "$D/try-$1")" -ge "$NEED" ]'

    def tries(self, item):
        return [float(line) for line in self.read_lines(f"try-{item}")]

    def test_an_item_is_tried_until_it_succeeds(self):
        run = self.run_map("-j2", "--retries", "5", "sh", "-c", self.SCRIPT, "sh", ":::", "a", "b", status=0,
                           env=self.environment(NEED="3"))
        self.assertEqual(run.counts, {"done": 2, "failed": 0, "timed out": 0, "retried": 4})
        self.assertEqual((len(self.tries("a")), len(self.tries("b"))), (3, 3))

    def test_and_not_more_often_than_asked(self):
        run = self.run_map("--retries", "2", "sh", "-c", self.SCRIPT, "sh", ":::", "a", status=1,
                           env=self.environment(NEED="99"))
        self.assertEqual(run.counts, {"done": 0, "failed": 1, "timed out": 0, "retried": 2})
        self.assertEqual(len(self.tries("a")), 3)
        self.assertIn("(3 attempts)", run.text)

    def test_pauses_grow(self):
        run = self.run_map("--json", "--retries", "3", "sh", "-c", self.SCRIPT, "sh", ":::", "a", status=1,
                           env=self.environment(NEED="99"))
        tries = self.tries("a")
        pauses = [later - earlier for earlier, later in zip(tries, tries[1:])]
        for pause, least in zip(pauses, (0.075, 0.15, 0.3)):
            self.assertGreaterEqual(pause, least)
        self.assertLess(run.took, 5)
        told = [event["delay_ms"] for event in run.events if event["event"] == "retry"]
        for pause, least in zip(told, (75, 150, 300)):
            self.assertTrue(least <= pause <= 2 * least, told)

    def test_only_the_last_attempt_is_shown(self):
        run = self.run_map("--retries", "3", "sh", "-c", self.SCRIPT + ' || { echo "no"; exit 1; }; echo yes', "sh",
                           ":::", "a", status=0, env=self.environment(NEED="3"))
        self.assertEqual(run.out, b"yes\n")

    @given_time
    def test_a_timed_out_item_is_tried_again(self):
        script = 'echo x >> "$D/tried"; [ "$(wc -l < "$D/tried")" -ge 2 ] || exec sleep 60'
        run = self.run_map("--timeout", f"{self.second}s", "--retries", "2", "sh", "-c", script, ":::", "a", status=0)
        self.assertEqual(run.counts, {"done": 1, "failed": 0, "timed out": 0, "retried": 1})

    def test_nothing_that_succeeded_is_tried_again(self):
        run = self.run_map("--retries", "5", "sh", "-c", 'echo "$1" >> "$D/log"', "sh", ":::", "a", "b", status=0)
        self.assertEqual(run.counts["retried"], 0)
        self.assertEqual(sorted(self.read_lines("log")), ["a", "b"])

    def test_what_an_attempt_left_running_is_gone_before_the_next_begins(self):
        script = ('[ -z "$(pgrep -f "sleep 61.7$MARK")" ] || touch "$D/overlap"; '
                  'setsid python3 -c "import time; time.sleep(61.7)" "sleep 61.7$MARK" & exit 1')
        self.run_map("--retries", "2", "sh", "-c", script, ":::", "a", status=1)
        self.assertFalse(os.path.exists(self.path("overlap")))


class NeighboursOfSlowOnes(Case):
    @given_time
    def test_other_slots_go_on_while_one_item_is_being_ended(self):
        run = self.start("-j2", "--timeout", f"{self.second}s", "--grace", f"{2 * self.second}s", "sh", "-c",
                         'case $1 in bad) exec python3 "$NASTY" ignores_term;; esac; sleep 0.1; echo "$1" >> "$D/log"',
                         "sh", ":::", "bad", *(str(n) for n in range(20)))
        result = run.finish()
        self.assert_clean(result)
        self.assertEqual(result.counts["done"], 20, result)
        self.assertEqual(result.counts["timed out"], 1, result)
        self.assertLess(result.took, 3 * self.second + 5)
