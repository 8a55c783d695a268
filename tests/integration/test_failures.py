"""Commands that cannot be started or do not succeed: each item says why, a shared reason is told once."""
import os
import re
import subprocess

from harness import TENURE, Case, as_nobody, given_time, poll_until, remove_empty_cgroup
from processes import cgroup_mount, marked


class NotStarted(Case):
    def test_command_not_found_is_told_once_for_a_thousand_items(self):
        items = b"".join(b"%d\n" % n for n in range(1000))
        run = self.run_map("-j4", "no-such-command-here", input=items, status=1)
        self.assertEqual(run.counts, {"done": 0, "failed": 1000, "timed out": 0, "retried": 0})
        told = [line for line in run.lines if "not found" in line]
        self.assertEqual(len(told), 1, run)
        self.assertIn("command not found: no-such-command-here (1,000 items)", told[0])
        self.assertLess(len(run.lines), 20, run)

    def test_command_not_executable_is_told_once_for_a_thousand_items(self):
        self.write("data", "no program", mode=0o644)
        items = b"".join(b"%d\n" % n for n in range(1000))
        run = self.run_map("-j4", "./data", input=items, status=1)
        told = [line for line in run.lines if "not executable" in line]
        self.assertEqual(len(told), 1, run)
        self.assertIn("command not executable: ./data (1,000 items)", told[0])

    def test_not_found_is_not_found_even_if_path_has_folders_that_may_not_be_searched(self):
        # execvp() reports EACCES of such a folder instead.
        user, binary = as_nobody(self)
        os.mkdir(self.path("locked"), 0)
        env = self.environment(PATH=self.path("locked") + ":/usr/bin:/bin")
        run = self.start(command=[binary, "map", "{}", ":::", "no-such-command-here", "true"], env=env, **user).finish()
        self.assertIn("command not found: no-such-command-here (1 item)", run.text)
        self.assertEqual((run.status, run.counts["done"]), (1, 1), run)
        # One that is there and not executable stays what it is.
        os.mkdir(self.path("bin"))
        self.write("bin/data", "", mode=0o644)
        env = self.environment(PATH=self.path("bin") + ":" + self.path("locked") + ":/usr/bin:/bin")
        run = self.start(command=[binary, "map", "{}", ":::", "data"], env=env, **user).finish()
        self.assertIn("command not executable: data (1 item)", run.text)

    def test_a_folder_is_not_executable(self):
        os.mkdir(self.path("folder"))
        self.assertIn("command not executable: ./folder (1 item)", self.run_map("./folder", ":::", "1", status=1).text)

    def test_a_path_that_does_not_exist(self):
        run = self.run_map("./absent/tool", ":::", "1", "2", status=1)
        self.assertIn("command not found: ./absent/tool (2 items)", run.text)

    def test_a_file_that_no_program_can_run(self):
        self.write("garbage", b"\x00\x01\x02 not a program", mode=0o755)
        run = self.run_map("./garbage", ":::", "1", status=1)
        self.assertIn("Exec format error", run.text)

    def test_the_interpreter_of_a_script_is_missing(self):
        self.write("no-such-interpreter", "#!/no/such/interpreter\n", mode=0o755)
        run = self.run_map("./no-such-interpreter", ":::", "1", status=1)
        self.assertIn("its interpreter (#! line) or loader is missing: ./no-such-interpreter (1 item)", run.text)
        env = self.environment(PATH=self.dir + ":/usr/bin:/bin")
        run = self.run_map("no-such-interpreter", ":::", "1", env=env, status=1)
        self.assertIn("its interpreter (#! line) or loader is missing: no-such-interpreter (1 item)", run.text)
        self.assertEqual(run.counts["failed"], 1)

    def test_commands_from_items_each_tell_their_own_reason(self):
        run = self.run_map("-j2", "{}", ":::", "true", "absent-one", "true", "absent-two", status=1)
        self.assertEqual((run.counts["done"], run.counts["failed"]), (2, 2))
        self.assertIn("command not found: absent-one (1 item)", run.text)
        self.assertIn("command not found: absent-two (1 item)", run.text)

    def test_no_path_at_all(self):
        env = self.environment()
        del env["PATH"]
        self.assertEqual(self.run_map("echo", ":::", "x", env=env, status=0).out, b"x\n")

    def test_a_command_that_appears_while_others_run(self):
        run = self.run_map("-j1", "--shell", 'if [ {} = 1 ]; then printf "#!/bin/sh\\nexit 0\\n" > late; '
                           "chmod +x late; else ./late; fi", ":::", "1", "2", status=0)
        self.assertEqual(run.counts["done"], 2)


class Status(Case):
    def test_all_succeeded_is_0_and_any_failure_is_1(self):
        self.run_map("true", ":::", "1", "2", status=0)
        self.run_map("false", ":::", "1", status=1)
        run = self.run_map("-j2", "sh", "-c", "exit $1", "sh", ":::", "0", "3", "0", "255", status=1)
        self.assertEqual((run.counts["done"], run.counts["failed"]), (2, 2))

    def test_reasons_are_grouped_and_counted(self):
        items = ["3"] * 7 + ["4"] * 2 + ["0"]
        run = self.run_map("-j2", "sh", "-c", "exit $1", "sh", ":::", *items, status=1)
        self.assertIn("exit status 3 (7 items)", run.text)
        self.assertIn("exit status 4 (2 items)", run.text)
        self.assertLess(run.text.index("exit status 3"), run.text.index("exit status 4"))

    def test_a_signal_is_named(self):
        run = self.run_map("-j1", "sh", "-c", 'kill -$1 $$', "sh", ":::", "SEGV", "KILL", "TERM", status=1)
        for name in ("SIGSEGV", "SIGKILL", "SIGTERM"):
            self.assertIn(f"killed by {name} (1 item)", run.text)

    def test_many_different_reasons_stay_readable(self):
        items = [str(n) for n in range(1, 200)]
        run = self.run_map("-j2", "sh", "-c", "exit $1", "sh", ":::", *items, status=1)
        self.assertEqual(run.counts["failed"], 199)
        self.assertLess(len(run.lines), 60, run)
        self.assertIn("other reasons", run.text)

    def test_keep_going_is_the_default(self):
        for words in ([], ["--keep-going"]):
            run = self.run_map("-j1", *words, "sh", "-c", 'echo "$1"; exit "$1"', "sh", ":::", "1", "0", "2", "0",
                               status=1)
            self.assertEqual(run.out, b"1\n0\n2\n0\n")

    def test_fail_fast_ends_what_runs_and_starts_nothing_more(self):
        script = ('case $1 in bad) while [ ! -e "$D/long" ]; do sleep 0.01; done; exit 7;; '
                  'long) touch "$D/long"; exec sleep 60;; *) touch "$D/more-$1";; esac')
        run = self.run_map("-j2", "--fail-fast", "sh", "-c", script, "sh", ":::", "long", "bad", "3", "4", "5",
                           status=1)
        self.assertLess(run.took, 5)
        self.assertEqual(run.counts["failed"], 1, run)
        self.assertIn("exit status 7 (1 item)", run.text)
        self.assertIn("--fail-fast", run.text)
        self.assertIn("stopped   1 item while running", run.text)
        self.assertIn("3 items not started", run.text)
        self.assertFalse([name for name in os.listdir(self.dir) if name.startswith("more")])

    def test_fail_fast_without_failure_runs_all(self):
        self.assertEqual(self.run_map("--fail-fast", "true", ":::", "1", "2", "3", status=0).counts["done"], 3)

    def test_fail_fast_counts_what_is_still_unread_as_unknown(self):
        # 200,000 lines are more than is read before the first item fails.
        run = self.run_map("-j1", "--fail-fast", "false", input=b"x\n" * 200_000, status=1)
        self.assertIn("left out", run.text)
        self.assertRegex(run.text, r"not read yet|not started")


class Summary(Case):
    @given_time
    def test_fields(self):
        run = self.run_map("-j2", "--timeout", f"{self.second}s", "--retries", "1", "sh", "-c",
                           'case $1 in slow) exec sleep 60;; bad) exit 1;; burn) n=0; '
                           'while [ $n -lt 20000 ]; do n=$((n+1)); done;; esac', "sh",
                           ":::", "a", "slow", "bad", "burn", status=1)
        self.assertEqual(run.counts, {"done": 2, "failed": 1, "timed out": 1, "retried": 2})
        time_line = next(line for line in run.lines if line.startswith("time "))
        self.assertRegex(time_line, r"wall [\d.]+ m?s +CPU [\d.]+ m?s")
        self.assertIn("slowest", run.text)
        slowest = run.lines[next(i for i, line in enumerate(run.lines) if line.startswith("slowest")):]
        self.assertRegex(slowest[0], r"item 2  timed out +slow")
        self.assertIn("(2 attempts)", run.text)

    @given_time
    def test_slowest_items_come_longest_first(self):
        times = [tenths * self.second / 10 for tenths in (6, 1, 4, 0.1, 2, 0.2, 8)]
        run = self.run_map("-j8", "--json", "sleep", ":::", *map(str, times), status=0)
        took = {event["seq"]: event["wall_ms"] for event in run.events if event["event"] == "end"}
        start = next(i for i, line in enumerate(run.lines) if line.startswith("slowest"))
        named = [int(re.search(r"item (\d+)  [\d.]+", line).group(1)) for line in run.lines[start:start + 5]]
        self.assertEqual([took[seq] for seq in named], sorted(took.values(), reverse=True)[:5], run)
        self.assertEqual([times[seq - 1] for seq in named[:4]], sorted(times, reverse=True)[:4], run)

    def test_cpu_time_counts_daemons_of_the_item(self):
        burn = "n=0; while [ $n -lt 300000 ]; do n=$((n+1)); done"
        run = self.run_map("--json", "sh", "-c", f"setsid sh -c '{burn}; touch $D/burnt' & "
                           'while [ ! -e "$D/burnt" ]; do sleep 0.01; done', ":::", "1", status=0)
        end = next(event for event in run.events if event["event"] == "end")
        self.assertGreater(end["cpu_ms"], 20)

    def test_lines_stay_lines_whatever_the_items_hold(self):
        long = "x" * 500
        run = self.run_map("-j1", "sh", "-c", "exit 3", "sh", ":::", long, "wide \u4e16\u754c" * 40, "new\nline",
                           "\x1b[31mred", status=1)
        for line in run.lines:
            self.assertLessEqual(len(line), 140, line)  # names of items are cut, reasons are not
        self.assertNotIn("\x1b[31mred", run.text)
        self.assertIn("new\\nline", run.text)

    def test_no_colours_when_standard_error_is_no_terminal(self):
        self.assertNotIn("\x1b", self.run_map("false", ":::", "1", status=1).text)


class NotOursToSignal(Case):
    """An item leaves a process behind that the command may not end: of another user, as a set-user-ID program is."""

    def test_the_items_after_it_run(self):
        # Root without the right to signal everybody, and without control groups, whose kill asks nobody's leave. A user
        # without rights cannot make such a process: then nothing is left behind, and the rest must hold as well.
        may = os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0
        other = "setpriv --reuid=65534 --regid=65534 --clear-groups" if may else ""
        without = 'umount -l "$MOUNT"; exec setpriv --bounding-set=-kill --inh-caps=-kill "$@"'
        leave = (f"if [ $1 = 2 ]; then {other} sleep 60 & "
                 'until [ "$(cat /proc/$!/comm)" = sleep ]; do :; done; fi; echo "item $1"')
        words = [TENURE, "map", "-j1", "sh", "-c", leave, "sh", ":::", *"123456"]
        run = self.start(command=["unshare", "-m", "sh", "-c", without, "sh"] * may + words,
                         env=self.environment(MOUNT=cgroup_mount() or "/nowhere"))
        result = run.finish()
        self.assertEqual(result.status, 0, result)
        self.assertEqual(result.out.decode().split("\n")[:-1], [f"item {k}" for k in range(1, 7)])
        if may:
            self.assertIn("processes that are not ours to signal", result.text)


class WithoutProc(Case):
    """Nothing below us can be found without /proc: what was not ended must at least be counted."""

    def test_what_an_item_leaves_behind_is_counted(self):
        script = ('mount -t tmpfs none /proc && exec "$T" map -j1 --grace 100ms sh -c '
                  '\'setsid sh -c "$FAR" & read line < "$D/up"\' ::: a')
        os.mkfifo(self.path("up"))
        for unshare in (["unshare", "-m"], ["unshare", "-rm"]):
            if subprocess.run([*unshare, "mount", "-t", "tmpfs", "none", "/proc"], capture_output=True).returncode == 0:
                break
        else:
            return  # no right to hide it
        run = self.start(command=[*unshare, "sh", "-c", script],
                         env=self.environment(FAR='echo > "$D/up"; exec sleep 60'))
        result = run.finish()
        self.assertIn("audit: tasks 0, timers 0, processes 1, descriptors 0 left\n  left: processes that /proc does not show",
                      result.text)
        self.end_everything()


class DeafToSigkill(Case):
    """An item that SIGKILL does not end: in an uninterruptible sleep, as on a dead network disk. A frozen one is the same."""

    FREEZER = "/sys/fs/cgroup/freezer"  # of version 1: what is frozen there is not even killed

    def setUp(self):
        super().setUp()
        self.freezer = os.path.join(self.FREEZER, f"tenure-it-{os.getpid()}")
        try:
            os.mkdir(self.freezer)
        except OSError:
            self.skipTest("no freezer of version 1 here, or not ours to use")
        self.addCleanup(remove_empty_cgroup, self.freezer)

    def thaw(self):
        with open(os.path.join(self.freezer, "freezer.state"), "w", encoding="ascii") as file:
            file.write("THAWED")
        self.wait_nothing_lives_but_cgroups()

    def wait_nothing_lives_but_cgroups(self):
        def gone():
            self.reap_strays()
            return not marked(self.mark)
        poll_until(gone, "the end of what was frozen")
        for run in self.running:
            for folder, _, _ in os.walk(run.cgroup() or "/nowhere", topdown=False):
                remove_empty_cgroup(folder)  # the run could not: it was in use

    @given_time
    def test_the_run_goes_on_and_ends_and_names_it(self):
        script = ('if [ $1 = a ]; then echo $$ > $F/tasks; echo FROZEN > $F/freezer.state; fi; echo "item $1"')
        run = self.start("-j1", "--timeout", f"{self.second}s", "--grace", "100ms", "sh", "-c", script, "sh", ":::",
                         *"abc", env=self.environment(F=self.freezer))
        self.addCleanup(self.thaw)
        result = run.finish(60)
        self.assertEqual(result.status, 1, result)
        self.assertEqual(result.out, b"item b\nitem c\n", result)
        self.assertEqual(result.counts, {"done": 2, "failed": 0, "timed out": 1, "retried": 0}, result)
        self.assertIn("processes 1, descriptors 0 left", result.text)
        self.assertIn("SIGKILL does not end", result.text)
