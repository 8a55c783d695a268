"""What items write comes out complete, unmixed and in the order asked for, whoever reads it."""
import hashlib
import os
import resource
import subprocess
import sys
import threading
import time

from harness import Case, given_time, limit_to, poll_until
from processes import memory_kib


class Order(Case):
    # Item 1 ends last: it waits until the others have ended.
    LATE = 'case $1 in 1) while [ ! -e "$D/last" ]; do sleep 0.01; done;; 4) touch "$D/last";; esac; echo "$1"'

    def test_done_is_the_default_and_writes_as_items_end(self):
        for words in ([], ["--order", "done"]):
            run = self.run_map("-j2", *words, "sh", "-c", self.LATE, "sh", ":::", "1", "2", "3", "4", status=0)
            self.assertEqual(sorted(run.out.split()), [b"1", b"2", b"3", b"4"])
            self.assertEqual(run.out.split()[:2], [b"2", b"3"])
            os.unlink(self.path("last"))

    def test_input_writes_in_the_order_of_the_items(self):
        run = self.run_map("-j2", "--order", "input", "sh", "-c", self.LATE, "sh", ":::", "1", "2", "3", "4", status=0)
        self.assertEqual(run.out, b"1\n2\n3\n4\n")

    def test_input_order_with_many_items_and_sizes(self):
        script = 'head -c $(($1 * 997 % 150000)) /dev/zero | tr "\\0" "x"; echo " $1"'
        items = [str(n) for n in range(1, 121)]
        run = self.run_map("-j4", "--order", "input", "sh", "-c", script, "sh", ":::", *items, status=0)
        wanted = b"".join(b"x" * (n * 997 % 150000) + b" %d\n" % n for n in range(1, 121))
        self.assertEqual(hashlib.sha256(run.out).hexdigest(), hashlib.sha256(wanted).hexdigest())

    @given_time
    def test_input_order_after_an_early_end_still_writes_what_has_ended(self):
        script = 'case $1 in 1) exec sleep 60;; 3) touch "$D/third";; esac; echo "$1"'
        run = self.run_map("-j2", "--order", "input", "--deadline", f"{self.second}s", "sh", "-c", script, "sh",
                           ":::", "1", "2", "3", status=124)
        self.assertEqual(run.out, b"2\n3\n")


class Streams(Case):
    def test_outputs_of_items_never_mix(self):
        script = 'for i in 1 2 3 4 5; do echo "$1 $i"; echo "$1 $i" >&2; sleep 0.002; done'
        items = [str(n) for n in range(40)]
        run = self.run_map("-j8", "--progress", "none", "sh", "-c", script, "sh", ":::", *items, status=0)
        for lines in (run.out.decode().splitlines(), run.lines[:200]):
            self.assertEqual(len(lines), 200)
            for at in range(0, 200, 5):
                number = lines[at].split()[0]
                self.assertEqual(lines[at:at + 5], [f"{number} {i}" for i in range(1, 6)])

    def test_standard_error_of_items_goes_to_standard_error(self):
        run = self.run_map("-j1", "--progress", "none", "sh", "-c", "echo out; echo err >&2", ":::", "x", status=0)
        self.assertEqual(run.out, b"out\n")
        self.assertEqual(run.lines[0], "err")

    def test_both_streams_large_and_at_once_do_not_dead_lock(self):
        script = "head -c 3000000 /dev/zero >&2 & head -c 3000000 /dev/zero; wait"
        run = self.run_map("-j2", "--progress", "none", "sh", "-c", script, ":::", "1", "2", "3", status=0)
        self.assertEqual(len(run.out), 9_000_000)
        self.assertEqual(run.err.count(b"\0"), 9_000_000)

    def test_long_output_without_a_place_for_it_fails_that_item_only(self):
        run = self.run_map("-j1", "sh", "-c", 'head -c "$1" /dev/zero', "sh", ":::", "1000", "500000", "60000",
                           status=1, env=self.environment(TMPDIR="/nonexistent"))
        self.assertEqual((run.counts["done"], run.counts["failed"]), (2, 1), run)
        self.assertIn("output lost: No such file or directory (/nonexistent)", run.text)

    def test_no_newline_is_added_and_none_is_lost(self):
        self.assertEqual(self.run_map("-j1", "printf", "%s", ":::", "a", "", "b\n\n", status=0).out, b"ab\n\n")

    def test_output_of_a_failed_item_is_shown_too(self):
        run = self.run_map("--progress", "none", "sh", "-c", "echo why; echo because >&2; exit 3", ":::", "x", status=1)
        self.assertEqual(run.out, b"why\n")
        self.assertEqual(run.lines[0], "because")

    def test_a_child_that_closes_its_output_and_lives_on_is_waited_for(self):
        script = ('echo before; exec >&- 2>&-; touch "$D/closed-$1"; while [ ! -e "$D/go" ]; do sleep 0.01; done; '
                  'touch "$D/lived-$1"; exit 4')
        run = self.start("-j2", "sh", "-c", script, "sh", ":::", "a", "b")
        poll_until(lambda: os.path.exists(self.path("closed-a")) and os.path.exists(self.path("closed-b")), "both")
        time.sleep(0.1)  # time in which a wrong tenure would take the closed pipe for the end
        self.assertIsNone(run.popen.poll())
        self.write("go", "")
        result = run.finish()
        self.assert_clean(result)
        self.assertEqual((result.status, result.out), (1, b"before\nbefore\n"), result)
        self.assertIn("exit status 4 (2 items)", result.text)
        self.assertTrue(os.path.exists(self.path("lived-a")) and os.path.exists(self.path("lived-b")))

    def test_something_left_running_with_the_output_open_ends_with_its_item(self):
        run = self.run_map("-j1", "sh", "-c", 'sleep 60 & setsid sleep 60 & echo "$1"', "sh", ":::", "a", "b",
                           status=0)
        self.assertEqual(run.out, b"a\nb\n")
        self.assertLess(run.took, 4)


class Readers(Case):
    def test_a_reader_that_leaves_ends_the_run_quietly(self):
        # `yes` writes for ever: only the closed pipe can end this.
        run = self.start(command=["bash", "-c", 'yes item | "$T" map -j2 --progress none echo | head -n 1; '
                                  'echo "${PIPESTATUS[*]}"'])
        result = run.finish(15)
        self.assert_clean(result)
        first, statuses = result.out.decode().splitlines()
        self.assertEqual(first, "item")
        self.assertEqual(statuses.split()[1:], ["1", "0"], result)
        self.assertNotIn("roken pipe", result.text)
        self.assertNotIn("SIGPIPE", result.text)
        self.assertIn("standard output", result.text)  # the summary says why the run ended early

    def test_a_reader_that_leaves_ends_what_is_running(self):
        script = 'case $1 in 1) echo hello; exit;; esac; exec 9>"$WITNESS"; echo x >&9; exec sleep 60'
        reader, writer = os.pipe()
        run = self.start("-j3", "sh", "-c", 'while [ ! -e "$D/go" ]; do sleep 0.01; done; ' + script, "sh",
                         ":::", "2", "1", "3", stdout=writer)
        os.close(writer)
        os.close(reader)
        self.write("go", "")
        result = run.finish(10)
        self.assert_clean(result)
        self.assertEqual(result.status, 1, result)

    def test_items_do_not_see_a_closed_pipe(self):
        # They write into tenure's pipes, which live as long as they do.
        run = self.start(command=["bash", "-c", '"$T" map -j1 sh -c \'head -c 500000 /dev/zero; '
                                  'echo "$? $1" >> "$D/log"\' sh ::: 1 | head -c 10 >/dev/null'])
        run.finish(15)
        self.assertEqual(self.read("log"), b"0 1\n")

    def test_a_slow_reader_slows_the_run_and_loses_nothing(self):
        script = 'echo "$1" >> "$D/started"; head -c 4000 /dev/zero | tr "\\0" "$1"'
        run = self.start("-j2", "sh", "-c", script, "sh", stdin=subprocess.PIPE)
        def feed():
            with run.popen.stdin as to:
                for n in range(400):
                    to.write(b"%d\n" % (n % 10))
        feeder = threading.Thread(target=feed)
        feeder.start()
        # Nothing is read: the run must come to a halt by itself.
        def halted():
            before = len(self.read_lines("started"))
            time.sleep(0.3)
            return before > 0 and len(self.read_lines("started")) == before and before
        started = poll_until(halted, "the run to halt", limit=30)
        run.popen.stdin = None
        out = b""
        while True:
            piece = os.read(run.popen.stdout.fileno(), 3000)
            if not piece:
                break
            out += piece
        feeder.join()
        result = run.finish()
        self.assert_clean(result)
        self.assertEqual(result.status, 0, result)
        self.assertEqual(len(out), 400 * 4000)
        for digit in b"0123456789":
            self.assertEqual(out.count(digit), 40 * 4000)
        self.assertLessEqual(started, 400)

    def test_a_full_device_is_an_error_that_is_told(self):
        with open("/dev/full", "wb") as full:
            run = self.run_map("-j1", "echo", input=b"x\n" * 5000, stdout=full, status=1)
        self.assertIn("standard output: No space left on device", run.text)
        self.assertLess(run.counts["done"], 5000)

    def test_a_full_device_for_standard_error_makes_the_status_1(self):
        with open("/dev/full", "wb") as full:
            run = self.run_map("-j1", "sh", "-c", 'echo "$1"; echo err >&2', "sh", ":::", "a", "b", stderr=full, status=1,
                               clean=False)
        self.assert_nothing_lives(run)
        self.assertEqual(run.out, b"a\nb\n", "the run goes on")

    def test_lost_standard_error_is_told_in_the_summary(self):
        # A limit on the size of a file stands for the disk, which has room again when the summary is written.
        script = ('case $1 in a) head -c 10000 /dev/zero >&2;; c) until [ -e "$D/go" ]; do sleep 0.01; done;; esac; '
                  'echo "$1"')
        with open(self.path("err"), "ab") as err:
            run = self.start("-j1", "--order", "input", "--progress", "none", "sh", "-c", script, "sh", ":::", *"abc",
                             stderr=err, preexec_fn=limit_to(resource.RLIMIT_FSIZE, 4096))
        self.assertEqual(run.popen.stdout.readline() + run.popen.stdout.readline(), b"a\nb\n")
        self.assertEqual(os.path.getsize(self.path("err")), 4096)
        os.truncate(self.path("err"), 0)
        self.write("go", "")
        result = run.finish()
        self.assertEqual((result.status, result.out), (1, b"c\n"), result)
        self.assertIn("\nlost      standard error of 1 item: File too large\n", "\n" + self.read("err").decode())
        self.assertIn("done 3  failed 0", self.read("err").decode())

    def test_output_to_a_file_is_appended_in_place(self):
        with open(self.path("log"), "wb") as log:
            log.write(b"begin\n")
            log.flush()
            self.run_map("-j1", "echo", ":::", "a", "b", stdout=log, status=0)
            log.write(b"end\n")
            log.flush()
        self.assertEqual(self.read("log"), b"begin\na\nb\nend\n")

    def test_both_outputs_into_one_pipe(self):
        run = self.run_map("-j1", "--progress", "none", "sh", "-c", 'echo "$1"; echo "$1!" >&2', "sh", ":::", "a", "b",
                           stderr=subprocess.STDOUT, status=0, clean=False)
        self.assertEqual(run.out.decode().splitlines()[:4], ["a", "a!", "b", "b!"])

    def test_the_users_pipe_stays_blocking(self):
        # A non-blocking flag on a shared description would break whoever writes next.
        reader, writer = os.pipe()
        run = self.run_map("echo", ":::", "a", stdout=writer, status=0)
        self.assertTrue(os.get_blocking(writer), run)
        os.close(reader)
        os.close(writer)


class ClosedStreams(Case):
    """Started with a standard stream closed, as some daemons do: nothing of ours may land on its number."""

    def close(self, *numbers):
        return lambda: [os.close(number) for number in numbers]

    def test_standard_input_closed(self):
        run = self.run_map("-j1", "echo", ":::", "a", "b", stdin=None, preexec_fn=self.close(0), status=0)
        self.assertEqual(run.out, b"a\nb\n")

    def test_standard_error_closed(self):
        run = self.run_map("-j1", "sh", "-c", "echo out; echo err >&2", ":::", "a", preexec_fn=self.close(2),
                           status=0, clean=False)
        self.assert_nothing_lives(run)
        self.assertEqual(run.out, b"out\n")

    def test_standard_output_closed_runs_nothing_for_nothing(self):
        run = self.run_map("-j1", "echo", ":::", "a", "b", preexec_fn=self.close(1), status=1)
        self.assertIn("standard output: Bad file descriptor", run.text)

    def test_standard_output_closed_but_not_needed(self):
        run = self.run_map("-j1", "sh", "-c", 'touch "$D/$1"', "sh", ":::", "a", "b", preexec_fn=self.close(1),
                           status=0)
        self.assertEqual(run.counts["done"], 2)
        self.assertTrue(os.path.exists(self.path("b")))

    def test_all_three_closed(self):
        run = self.run_map("-j2", "--results", "r", "sh", "-c", "echo out; echo err >&2", ":::", "a", "b",
                           stdin=None, preexec_fn=self.close(0, 1, 2), status=0, clean=False)
        self.assert_nothing_lives(run)
        self.assertEqual((self.read("r", "2", "stdout"), self.read("r", "2", "stderr")), (b"out\n", b"err\n"))


class Gigabyte(Case):
    """A child that writes 1 GB: memory stays flat, and every byte arrives."""

    SIZE = 1 << 30
    WRITER = ("import os\n"
              "block = bytearray(bytes(range(256)) * 4096)\n"
              "for n in range(1024):\n"
              "    block[:8] = n.to_bytes(8, 'big')\n"
              "    rest = memoryview(block)\n"
              "    while rest:  # a write that something interrupts takes less, and sys.stdout may be without a buffer\n"
              "        rest = rest[os.write(1, rest):]\n")

    def wanted(self):
        digest = hashlib.sha256()
        block = bytearray(bytes(range(256)) * 4096)
        for n in range(1024):
            block[:8] = n.to_bytes(8, "big")
            digest.update(block)
        return digest.hexdigest()

    def watch(self, run, consume):
        """Runs to the end while `consume` reads; returns (result, largest peak of tenure's processes, KiB)."""
        peak = [0]
        done = threading.Event()

        def look():
            own = []
            while not done.is_set():
                if len(own) < 3:
                    own = run.own_processes() if run.popen.poll() is None else own
                peak[0] = max(peak[0], memory_kib(own)[1])
                done.wait(0.02)
        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            consume()
            result = run.finish(60)
        finally:
            done.set()
            watcher.join()
        return result, peak[0]

    def test_to_a_reader(self):
        run = self.start("--progress", "none", sys.executable, "-c", self.WRITER, ":::", "x")
        digest, size = hashlib.sha256(), 0

        def consume():
            nonlocal size
            while piece := os.read(run.popen.stdout.fileno(), 1 << 20):
                digest.update(piece)
                size += len(piece)
        result, peak = self.watch(run, consume)
        self.assert_clean(result)
        self.assertEqual((result.status, size), (0, self.SIZE), result)
        self.assertEqual(digest.hexdigest(), self.wanted())
        self.assertLess(peak, 16 * 1024, "KiB of resident memory")

    def test_to_a_file_and_to_results(self):
        for words in ([], ["--results", "r"]):
            with open(self.path("out"), "wb") as out:
                run = self.start(*words, "--progress", "none", sys.executable, "-c", self.WRITER, ":::", "x",
                                 stdout=out)
                result, peak = self.watch(run, lambda: None)
            self.assert_clean(result)
            self.assertEqual(result.status, 0, result)
            name = self.path("r", "1", "stdout") if words else self.path("out")
            with open(name, "rb") as file:
                self.assertEqual(hashlib.file_digest(file, "sha256").hexdigest(), self.wanted())
            os.unlink(name)
            self.assertLess(peak, 16 * 1024, "KiB of resident memory")
