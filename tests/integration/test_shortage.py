"""Too few descriptors, processes or memory: slower, never less. And the memory of a long run."""
import os
import resource
import signal
import subprocess
import threading

from harness import Case, as_nobody, limit_to, poll_until
from processes import children, memory_kib, pids_of


class Descriptors(Case):
    def test_few_descriptors_drop_nothing(self):
        items = [str(n) for n in range(60)]
        for limit in (18, 19, 20, 22, 24, 32):
            with self.subTest(limit):
                run = self.run_map("-j4", "echo", ":::", *items, status=0,
                                   preexec_fn=limit_to(resource.RLIMIT_NOFILE, limit))
                self.assertEqual(sorted(run.out.split()), sorted(item.encode() for item in items))
                self.assertEqual(run.counts["done"], 60)

    def test_more_jobs_than_descriptors_go_on_with_fewer_and_say_so(self):
        run = self.run_map("-j40", "sh", "-c", 'ulimit -n; echo "$1"', "sh", ":::", *(str(n) for n in range(200)),
                           status=0, preexec_fn=limit_to(resource.RLIMIT_NOFILE, 64))
        self.assertEqual(run.counts["done"], 200)
        self.assertEqual(run.out.split().count(b"64"), 201)  # items have the user's limit; one of them is called 64
        self.assertRegex(run.lines[0], r"tenure: \d at a time, not 40: the limit on open files \(ulimit -n\)")

    def test_few_descriptors_with_everything_on(self):
        items = [str(n) for n in range(40)]
        for limit in (20, 24):
            with self.subTest(limit):
                self.write("list", "\n".join(items))
                run = self.run_map("-j4", "--order", "input", "--results", f"r{limit}", "--timeout", "20s", "--retries",
                                   "1", "--from", "list", "sh", "-c", 'head -c 100000 /dev/zero; echo "$1" >&2', "sh",
                                   status=0, preexec_fn=limit_to(resource.RLIMIT_NOFILE, limit))
                self.assertEqual(run.counts, {"done": 40, "failed": 0, "timed out": 0, "retried": 0})
                for number, item in enumerate(items, 1):
                    self.assertEqual(self.read(f"r{limit}", str(number), "stderr"), item.encode() + b"\n")
                    self.assertEqual(os.path.getsize(self.path(f"r{limit}", str(number), "stdout")), 100_000)

    def test_far_too_few_is_an_error_and_no_hang(self):
        for limit in (4, 6, 8, 11, 14, 16, 17):
            with self.subTest(limit):
                run = self.start("-j2", "echo", ":::", "a", "b",
                                 preexec_fn=limit_to(resource.RLIMIT_NOFILE, limit)).finish(10)
                self.assert_nothing_lives(run)
                if run.status == 0:
                    self.assertEqual(sorted(run.out.split()), [b"a", b"b"])
                else:
                    self.assertGreater(run.status, 0, run)
                    self.assertIn("Too many open files", run.text)
                    self.assertNotIn("internal error", run.text)


class Processes(Case):
    def test_a_limit_on_processes_drops_nothing(self):
        # Root is not bound by it, so root tests as a user who has no other process.
        user, binary = as_nobody(self)
        others = 0 if user else len(pids_of(os.getuid()))
        for room in (4, 5, 7):  # guard, engine and wardens count as well
            with self.subTest(room):
                run = self.start(command=[binary, "map", "-j4", "--deadline", "25s", "sh", "-c",
                                          '/bin/true; echo "$1"', "sh", ":::", *(str(n) for n in range(30))],
                                 preexec_fn=limit_to(resource.RLIMIT_NPROC, others + room), **user).finish()
                # An item whose own fork fails is its own affair; that it was started is ours.
                self.assert_clean(run)
                counts = run.counts
                self.assertEqual(counts["done"] + counts["failed"], 30, run)
                self.assertNotIn("Resource temporarily unavailable:", run.text)
                self.assertNotIn("not started", run.text)

    def test_no_room_for_any_process_is_an_error_and_no_hang(self):
        user, binary = as_nobody(self)
        run = self.start(command=[binary, "map", "--deadline", "2s", "true", ":::", "1"],
                         preexec_fn=limit_to(resource.RLIMIT_NPROC, 1), **user).finish(15)
        self.assert_nothing_lives(run)
        self.assertEqual(run.status, 70, run)
        self.assertIn("Resource temporarily unavailable", run.text)

    def test_a_shortage_ends_when_the_shortage_ends(self):
        # Another process of the same user takes what there is, and gives it back while the run waits.
        user, binary = as_nobody(self)
        if not user:  # others of our user come and go, so no limit can be drawn exactly
            self.test_a_limit_on_processes_drops_nothing()
            return
        hog = self.start(command=["sh", "-c", "for i in 1 2 3 4 5; do sleep 60 & done; wait"], **user)
        limit = limit_to(resource.RLIMIT_NPROC, 6 + 2)  # guard and engine fit, a warden does not
        poll_until(lambda: len(pids_of(user["user"])) == 6, "the hog")
        run = self.start(command=[binary, "map", "-j2", "echo", ":::", "a", "b", "c"], preexec_fn=limit, **user)
        self.assertRaises(subprocess.TimeoutExpired, run.popen.wait, 0.5)
        for pid in children(hog.pid):
            os.kill(pid, 9)
        result = run.finish()
        self.assertEqual((result.status, sorted(result.out.split())), (0, [b"a", b"b", b"c"]), result)
        hog.finish()


class Memory(Case):
    LIMIT = 24 * 1024  # KiB, all processes of tenure together

    def stream(self, run, count, chunk=1000):
        """Writes `count` items; returns when all have been taken."""
        with run.popen.stdin as to:
            for first in range(0, count, chunk):
                to.write(b"".join(b"%d\n" % n for n in range(first, min(first + chunk, count))))
        run.popen.stdin = None

    def largest(self, run, count):
        feeder = threading.Thread(target=self.stream, args=(run, count))
        feeder.start()
        seen = []
        own = run.own_processes()
        while run.popen.poll() is None:
            if len(own) < 4:
                own = run.own_processes() if run.popen.poll() is None else own
            total, _ = memory_kib(own)
            if total:
                seen.append(total)
            try:
                run.popen.wait(0.1)
            except subprocess.TimeoutExpired:
                pass
        feeder.join()
        return seen

    def test_200000_items_at_flat_memory(self):
        # A command that is not there takes the same way through tenure and no time of its own.
        with open(os.devnull, "wb") as null:
            run = self.start("-j2", "--timeout", "30s", "no-such-command-here", stdin=subprocess.PIPE, stdout=null)
            seen = self.largest(run, 200_000)
        result = run.finish()
        self.assert_clean(result)
        self.assertEqual(result.counts["failed"], 200_000, result)
        self.assertLess(max(seen), self.LIMIT)
        early, late = max(seen[:max(len(seen) // 10, 2)]), seen[-2]
        self.assertLess(late - early, 2048, f"KiB more at the end than at the beginning: {seen}")

    def test_real_items_at_flat_memory(self):
        for words in (["--order", "input"], ["--json"]):
            with open(os.devnull, "wb") as null:
                run = self.start("-j2", *words, "echo", stdin=subprocess.PIPE, stdout=null)
                seen = self.largest(run, 4_000)
            result = run.finish()
            self.assert_clean(result)
            self.assertEqual(result.counts["done"], 4_000, result)
            self.assertLess(max(seen), self.LIMIT)

    def test_items_are_read_no_faster_than_they_are_run(self):
        run = self.start("-j1", "sh", "-c", 'while [ ! -e "$D/go" ]; do sleep 0.01; done', stdin=subprocess.PIPE)
        os.set_blocking(run.popen.stdin.fileno(), False)
        taken = 0
        block = b"x" * 99 + b"\n"

        def full():
            nonlocal taken
            try:
                while taken < 50_000_000:
                    taken += os.write(run.popen.stdin.fileno(), block * 100)
                return True
            except BlockingIOError:
                return False
        for _ in range(20):
            full()
            try:
                run.popen.wait(0.02)
            except subprocess.TimeoutExpired:
                pass
        self.assertLess(taken, 1_000_000)  # a pipe and a buffer
        run.signal(signal.SIGINT)
        result = run.finish()
        self.assertEqual(result.status, -signal.SIGINT, result)

    def test_one_slow_item_does_not_let_the_others_pile_up(self):
        # In input order everything behind the first item waits for it; each writes 100 KB.
        script = ('case $1 in 0) while [ ! -e "$D/go" ]; do sleep 0.02; done;; esac; head -c 100000 /dev/zero; '
                  'echo x >> "$D/log"')
        with open(os.devnull, "wb") as null:
            run = self.start("-j2", "--order", "input", "sh", "-c", script, "sh", ":::",
                             *(str(n) for n in range(600)), stdout=null)
            own = poll_until(lambda: (found := run.own_processes()) and len(found) == 4 and found, "two wardens")
            count = lambda: len(self.read_lines("log"))
            poll_until(lambda: count() >= 200, "items to run ahead")
            total, peak = memory_kib(own)
            self.write("go", "")
            result = run.finish()
        self.assert_clean(result)
        self.assertEqual(result.counts["done"], 600, result)
        self.assertLess(total, self.LIMIT)
        self.assertLess(peak, self.LIMIT)
