"""--results: what is stored, and what happens when it cannot be."""
import datetime
import os
import resource
import subprocess

from harness import TENURE, Case, as_nobody, given_time, limit_to


def status_of(text):
    return dict(line.split("=", 1) for line in text.decode().splitlines())


class Stored(Case):
    def test_layout(self):
        items = ["one", "two words", "new\nline"]
        run = self.run_map("-0", "-j2", "--results", "made/here", "sh", "-c", 'printf "out %s" "$1"; printf err >&2',
                           "sh", input="\0".join(items).encode(), status=0)
        self.assertEqual(run.out, b"")
        for number, item in enumerate(items, 1):
            folder = ("made/here", str(number))
            self.assertEqual(sorted(os.listdir(self.path(*folder))), ["item", "status", "stderr", "stdout"])
            self.assertEqual(self.read(*folder, "stdout"), b"out " + item.encode())
            self.assertEqual(self.read(*folder, "stderr"), b"err")
            self.assertEqual(self.read(*folder, "item"), item.encode())
            status = status_of(self.read(*folder, "status"))
            self.assertEqual((status["state"], status["exit"], status["signal"], status["timed_out"],
                              status["attempts"], status["reason"]), ("succeeded", "0", "", "0", "1", ""))

    @given_time
    def test_times(self):
        before = datetime.datetime.now(datetime.timezone.utc)
        self.run_map("--results", "r", "sleep", "0.2", ":::", "", status=1)  # `sleep 0.2 ''` is refused by sleep
        self.run_map("--results", "r", "--shell", f"sleep {0.2 * self.second} # {{}}", ":::", "x", status=0)
        after = datetime.datetime.now(datetime.timezone.utc)
        status = status_of(self.read("r", "1", "status"))
        started, ended = (datetime.datetime.fromisoformat(status[name].replace("Z", "+00:00"))
                          for name in ("started", "ended"))
        slack = datetime.timedelta(milliseconds=5)
        self.assertTrue(before - slack <= started <= ended <= after + slack, status)
        self.assertGreaterEqual(float(status["wall_ms"]), 180 * self.second)  # it counts from when the warden sees that it runs
        self.assertLess(float(status["cpu_ms"]), float(status["wall_ms"]))

    @given_time
    def test_how_items_ended(self):
        script = ('echo said; case $1 in fail) exit 3;; die) kill -SEGV $$;; slow) exec sleep 60;; '
                  'twice) [ -e "$D/tried" ] || { touch "$D/tried"; exit 9; };; esac')
        self.run_map("-j1", "--timeout", f"{self.second}s", "--retries", "1", "--results", "r", "sh", "-c", script, "sh",
                     ":::", "fail", "die", "slow", "twice", status=1)
        wanted = {"1": ("failed", "3", "", "0", "2", "exit status 3"),
                  "2": ("failed", "", "SIGSEGV", "0", "2", "killed by SIGSEGV"),
                  "3": ("timed_out", "", "SIGTERM", "1", "2", "timed out"),
                  "4": ("succeeded", "0", "", "0", "2", "")}
        for number, how in wanted.items():
            status = status_of(self.read("r", number, "status"))
            self.assertEqual(tuple(status[name] for name in
                                   ("state", "exit", "signal", "timed_out", "attempts", "reason")), how)
            # Only what the last attempt wrote.
            self.assertEqual(self.read("r", number, "stdout"), b"said\n")

    def test_a_command_that_was_not_found_is_stored_with_its_reason(self):
        self.run_map("--results", "r", "no-such-command-here", ":::", "x", status=1)
        status = status_of(self.read("r", "1", "status"))
        self.assertEqual((status["state"], status["exit"]), ("failed", ""))
        self.assertEqual(status["reason"], "command not found: no-such-command-here")

    def test_long_and_binary_output_is_stored_byte_by_byte(self):
        blob = os.urandom(300_000) * 10
        self.write("blob", blob)
        self.run_map("--results", "r", "sh", "-c", "cat blob; cat blob blob >&2", ":::", "x", status=0)
        self.assertEqual(self.read("r", "1", "stdout"), blob)
        self.assertEqual(self.read("r", "1", "stderr"), blob * 2)

    def test_a_second_run_replaces_items_of_the_same_number(self):
        self.run_map("-j2", "--results", "r", "echo", ":::", "a", "b", "c", status=0)
        self.run_map("-j2", "--results", "r", "echo", ":::", "x", status=0)
        self.assertEqual((self.read("r", "1", "stdout"), self.read("r", "2", "stdout")), (b"x\n", b"b\n"))

    def test_no_other_file_is_left(self):
        self.run_map("-j2", "--results", "r", "sh", "-c", "head -c 200000 /dev/zero", ":::", "a", "b", status=0)
        self.assertEqual(sorted(name for name in os.listdir(self.path("r")) if not name.startswith(".")), ["1", "2"])

    def test_modes_follow_the_umask(self):
        self.run_map("--results", "r", "sh", "-c", "head -c 200000 /dev/zero; echo >&2", ":::", "a", status=0,
                     preexec_fn=lambda: os.umask(0o027))
        modes = {name: os.stat(self.path("r", "1", name)).st_mode & 0o777
                 for name in ("stdout", "stderr", "item", "status")}
        self.assertEqual(modes, dict.fromkeys(("stdout", "stderr", "item", "status"), 0o640))


class NotStored(Case):
    def test_a_folder_that_is_not_writable_fails_the_items_and_says_why(self):
        user, binary = as_nobody(self)
        os.mkdir(self.path("locked"), 0o555)
        for name in ("locked", "locked/below"):
            with self.subTest(name):
                run = self.start(command=[binary, "map", "-j2", "--results", name, "sh", "-c", "exit 0", "sh",
                                          ":::", "a", "b", "c"], **user).finish()
                self.assertEqual(run.status, 1, run)
                self.assert_clean(run)
                self.assertEqual(run.counts["failed"], 3, run)
                self.assertEqual(run.text.count("results not stored"), 1, run)
                self.assertIn("Permission denied", run.text)
                self.assertIn("(3 items)", run.text)

    def test_a_full_disk_fails_only_the_items_that_found_no_room(self):
        # A file system of 4 MB in a mount namespace that ends with the run.
        os.mkdir(self.path("disk"))
        script = ('mount -t tmpfs -o size=4m,nr_inodes=200 none disk && "$TENURE_BIN" map -j1 --order input '
                  '--results disk/r sh -c \'head -c "$1" /dev/zero\' sh ::: 1000 200000 20000000 2000 30000000 3000; '
                  'code=$?; for n in 1 2 3 4 5 6; do if [ -e disk/r/$n/status ]; then '
                  'echo "$n $(stat -c %s disk/r/$n/stdout)"; else echo "$n none"; fi; done; exit $code')
        for unshare in (["unshare", "-m"], ["unshare", "-rm"]):
            if subprocess.run([*unshare, "sh", "-c", "mount -t tmpfs none disk"], cwd=self.dir,
                              capture_output=True).returncode == 0:
                run = self.start(command=[*unshare, "sh", "-c", script],
                                 env=self.environment(TENURE_BIN=TENURE)).finish()
                self.assertEqual(run.out.decode().split("\n"),
                                 ["1 1000", "2 200000", "3 none", "4 2000", "5 none", "6 3000", ""], run)
                break
        else:  # no right to mount: a limit on the size of a file stands for the disk
            run = self.run_map("-j1", "--results", "r", "sh", "-c", 'head -c "$1" /dev/zero', "sh", ":::", "1000",
                               "200000", "20000000", "2000", "30000000", "3000",
                               preexec_fn=limit_to(resource.RLIMIT_FSIZE, 4_000_000))
        self.assertEqual(run.status, 1, run)
        self.assert_clean(run)
        self.assertEqual((run.counts["done"], run.counts["failed"]), (4, 2), run)
        self.assertRegex(run.text, r"No space left on device|File too large")
        self.assertRegex(run.text, r"\(2 items\)")

    def test_a_limit_on_the_size_of_files_is_an_error_and_not_the_end(self):
        # Beyond RLIMIT_FSIZE the kernel sends SIGXFSZ, which ends a process that does not expect it.
        run = self.run_map("-j1", "--results", "r", "sh", "-c", 'head -c "$1" /dev/zero', "sh", ":::", "1000",
                           "5000000", "2000", status=1, preexec_fn=limit_to(resource.RLIMIT_FSIZE, 1_000_000))
        self.assertEqual((run.counts["done"], run.counts["failed"]), (2, 1), run)
        self.assertIn("File too large", run.text)
        self.assertFalse(os.path.exists(self.path("r", "2", "status")))

    def test_a_folder_that_vanishes_while_the_run_goes_on(self):
        # The second item may begin before the first one is stored.
        script = 'if [ $1 = 2 ]; then until [ -e "$D/r/1/status" ]; do sleep 0.01; done; rm -rf "$D/r"; fi'
        run = self.run_map("-j1", "--results", "r", "sh", "-c", script, "sh", ":::", "1", "2", "3", status=1)
        self.assertEqual((run.counts["done"], run.counts["failed"]), (1, 2), run)
        self.assertIn("results not stored in r", run.text)

    def test_something_else_stands_where_an_item_belongs(self):
        self.run_map("--results", "r", "true", ":::", "x", status=0)
        self.write("r/2", "in the way")
        run = self.run_map("-j1", "--results", "r", "true", ":::", "x", "y", "z", status=1)
        self.assertEqual((run.counts["done"], run.counts["failed"]), (2, 1), run)
        self.assertIn("results not stored in r", run.text)
