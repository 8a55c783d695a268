"""--json: one event a line, complete and consistent."""
import base64
import collections
import datetime
import os
import signal
import time

from harness import HOLD, Case, given_time

SUMMARY = {"event", "ending", "exit_status", "done", "failed", "timed_out", "stopped", "retried", "not_started",
           "wall_ms", "cpu_ms"}


class Events(Case):
    def check(self, run):
        """What holds for the events of every run. Returns them, and the output by item and stream."""
        events = run.events
        self.assertEqual([event["event"] for event in events[-2:]], ["summary", "audit"])
        self.assertEqual(events[-1], {"event": "audit", "tasks": 0, "timers": 0, "processes": 0, "descriptors": 0})
        summary = events[-2]
        self.assertEqual(set(summary), SUMMARY)
        self.assertEqual(summary["exit_status"], run.status if run.status >= 0 else 128 - run.status, "as a shell shows it")
        for name in ("done", "failed", "timed_out", "retried"):
            self.assertEqual(summary[name], run.counts[name.replace("_", " ")], name)

        started, retried, ended, output = collections.Counter(), collections.Counter(), {}, {}
        for at, event in enumerate(events[:-2]):
            seq = event["seq"]
            if event["event"] == "start":
                self.assertNotIn(seq, ended)
                started[seq] += 1
                self.assertEqual(event["attempt"], started[seq])
                self.assertTrue(("item" in event) != ("item_base64" in event))
                datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00"))
            elif event["event"] == "retry":
                retried[seq] += 1
                self.assertEqual(retried[seq], started[seq])
                self.assertGreater(event["delay_ms"], 0)
                self.assertTrue(event["reason"])
            elif event["event"] == "output":
                self.assertNotIn(seq, ended)
                self.assertEqual(started[seq], retried[seq] + 1)
                data = event["data"].encode() if "data" in event else base64.b64decode(event["data_base64"])
                streams = output.setdefault(seq, {"stdout": b"", "stderr": b""})
                if event["stream"] == "stdout":
                    self.assertEqual(streams["stderr"], b"", "stdout comes first")
                streams[event["stream"]] += data
                self.assertEqual(events[at + 1]["seq"], seq, "its next piece or its end")
                self.assertIn(events[at + 1]["event"], ("output", "end"))
            else:
                self.assertEqual(event["event"], "end")
                self.assertNotIn(seq, ended, "an item ends once")
                self.assertEqual(event["attempts"], started[seq])
                self.assertEqual(event["attempts"], retried[seq] + 1)
                ended[seq] = event
        self.assertEqual(set(started), set(ended), "each started item ends exactly once")
        states = collections.Counter(event["status"] for event in ended.values())
        self.assertEqual((states["succeeded"], states["failed"], states["timed_out"], states["stopped"]),
                         (summary["done"], summary["failed"], summary["timed_out"], summary["stopped"]))
        self.assertEqual(sum(retried.values()), summary["retried"])
        return events, ended, output

    @given_time
    def test_a_run_with_every_kind_of_end(self):
        script = ('echo "out $1"; echo "err $1" >&2; case $1 in fail) exit 3;; die) kill -SEGV $$;; '
                  'slow) exec sleep 60;; esac')
        run = self.run_map("-j2", "--json", "--timeout", f"{self.second}s", "--retries", "1", "sh", "-c", script, "sh",
                           ":::", "good", "fail", "die", "slow", "fine", status=1)
        _, ended, output = self.check(run)
        self.assertEqual({seq: (e["status"], e["exit"], e["signal"], e["timed_out"]) for seq, e in ended.items()},
                         {1: ("succeeded", 0, None, False), 2: ("failed", 3, None, False),
                          3: ("failed", None, "SIGSEGV", False), 4: ("timed_out", None, "SIGTERM", True),
                          5: ("succeeded", 0, None, False)})
        for seq, item in enumerate(("good", "fail", "die", "slow", "fine"), 1):
            self.assertEqual(output[seq], {"stdout": f"out {item}\n".encode(), "stderr": f"err {item}\n".encode()})
        self.assertGreaterEqual(ended[4]["wall_ms"], 1000 * self.second)

    def test_bytes_that_are_no_text_come_as_base64(self):
        blob = bytes(range(256)) * 2
        self.write("blob", blob)
        run = self.run_map("-0", "-j1", "--json", "sh", "-c", 'cat blob; printf "%s" "$1" >&2', "sh",
                           input=b"\xff\xfe\0plain \xc3\xa9\0new\nline \"q\" \\ \x01\x7f", status=0)
        events, _, output = self.check(run)
        starts = [event for event in events if event["event"] == "start"]
        self.assertEqual(base64.b64decode(starts[0]["item_base64"]), b"\xff\xfe")
        self.assertEqual(starts[1]["item"], "plain \u00e9")
        self.assertEqual(starts[2]["item"], "new\nline \"q\" \\ \x01\x7f")
        self.assertEqual(output[1], {"stdout": blob, "stderr": b"\xff\xfe"})
        self.assertEqual(output[3]["stderr"], b"new\nline \"q\" \\ \x01\x7f")

    def test_long_text_stays_text_across_pieces(self):
        text = ("\u4e16\u754c \U0001f600 abc\n" * 20_000).encode()
        self.write("text", text)
        run = self.run_map("--json", "cat", ":::", "text", status=0)
        events, _, output = self.check(run)
        self.assertEqual(output[1]["stdout"], text)
        self.assertTrue(all("data" in event for event in events if event["event"] == "output"))

    def test_input_order(self):
        script = 'case $1 in 1) while [ ! -e "$D/3" ]; do sleep 0.01; done;; 3) touch "$D/3";; esac; echo "$1"'
        run = self.run_map("-j2", "--json", "--order", "input", "sh", "-c", script, "sh", ":::", "1", "2", "3",
                           status=0)
        events, _, _ = self.check(run)
        self.assertEqual([event["seq"] for event in events if event["event"] == "end"], [1, 2, 3])

    def test_failures_to_start_have_a_reason(self):
        run = self.run_map("-j2", "--json", "{}", ":::", "true", "no-such-command-here", status=1)
        _, ended, _ = self.check(run)
        self.assertEqual(ended[2]["reason"], "command not found: no-such-command-here")
        self.assertIsNone(ended[2]["exit"])

    def test_with_results_there_are_no_output_events(self):
        run = self.run_map("--json", "--results", "r", "echo", ":::", "a", "b", status=0)
        events, _, _ = self.check(run)
        self.assertFalse([event for event in events if event["event"] == "output"])
        self.assertEqual(self.read("r", "1", "stdout"), b"a\n")

    def test_no_items(self):
        events, _, _ = self.check(self.run_map("--json", "true", ":::", status=0))
        self.assertEqual(len(events), 2)
        self.assertEqual(events[0]["ending"], "finished")

    def test_an_interrupted_run_is_still_complete(self):
        run = self.start("-j2", "--json", "sh", "-c", HOLD + "exec sleep 60", "sh", ":::", "a", "b", "c", "d")
        self.witness.wait_lines(2)
        run.signal(signal.SIGINT)
        result = run.finish()
        self.assertEqual(result.status, -signal.SIGINT, result)
        self.assert_clean(result)
        events, ended, _ = self.check(result)
        self.assertEqual({event["status"] for event in ended.values()}, {"stopped"})
        self.assertEqual((events[-2]["ending"], events[-2]["stopped"], events[-2]["not_started"]),
                         ("interrupted", 2, 2))

    def test_a_deadline_is_named(self):
        run = self.run_map("--json", "--deadline", "300ms", "sleep", ":::", "60", status=124)
        self.assertEqual(self.check(run)[0][-2]["ending"], "deadline")

    def test_many_items(self):
        run = self.run_map("-j4", "--json", "echo", input=b"".join(b"%d\n" % n for n in range(500)), status=0)
        _, ended, output = self.check(run)
        self.assertEqual(len(ended), 500)
        self.assertEqual({seq: streams["stdout"] for seq, streams in output.items()},
                         {n + 1: b"%d\n" % n for n in range(500)})

    def test_events_come_while_the_run_goes_on(self):
        run = self.start("-j1", "--json", "sh", "-c", HOLD + 'while [ ! -e "$D/go" ]; do sleep 0.01; done', "sh",
                         ":::", "a")
        self.witness.wait_lines(1)
        line = run.popen.stdout.readline()
        self.assertIn(b'"event":"start"', line.replace(b" ", b""))
        self.write("go", "")
        self.assertEqual(run.popen.wait(10), 0)
        os.read(run.popen.stdout.fileno(), 65536)


class DryRun(Case):
    ITEMS = [b"plain", b"two words", b"quote'\"", b"$(touch pwned)", b"back\\slash", b"new\nline", b"", b"-n",
             b"\xff\xfe", b"*", b"~", b"a\tb", b"!x", b"{}", b"=", b"caf\xc3\xa9"]

    def both(self, *words):
        """What a dry run prints, given to sh, writes what the run itself writes."""
        given = b"\0".join(self.ITEMS) + b"\0"
        dry = self.start("-0", "--dry-run", *words, stdin=self.file_of(given)).finish()
        self.assertEqual((dry.status, dry.err), (0, b""), dry)
        self.assertFalse(os.path.exists(self.path("ran")))
        real = self.run_map("-0", "-j1", *words, input=given, status=0)
        replay = self.start(command=["sh"], stdin=self.file_of(dry.out)).finish()
        self.assertEqual((replay.status, replay.out), (0, real.out), dry)
        return dry

    def file_of(self, data):
        file = open(self.write("given", data), "rb")
        self.addCleanup(file.close)
        return file

    def test_a_shell_reads_it_back_identically(self):
        self.both("printf", "<%s|%s>", "{}", "{#}")
        self.both("printf", "<%s>", "it's {}", "$HOME")
        self.both("printf", "<%s>")

    def test_with_shell_too(self):
        self.both("--shell", "printf '<%s>' {} \"{#}\" | cat")

    def test_it_runs_nothing(self):
        run = self.start("--dry-run", "touch", "ran", ":::", "a", "b").finish()
        self.assertEqual((run.status, run.out), (0, b"touch ran a\ntouch ran b\n"), run)
        self.assertFalse(os.path.exists(self.path("ran")) or os.path.exists(self.path("a")))

    def test_it_says_which_items_cannot_be_run(self):
        run = self.start("--dry-run", "echo", stdin=self.file_of(b"ok\n" + b"y" * 140_000 + b"\nfine\n")).finish()
        self.assertEqual((run.status, run.out), (1, b"echo ok\necho fine\n"), run)
        self.assertIn("item 2: 140000 bytes, longer than the system allows", run.text)

    def test_standard_input_that_somebody_made_non_blocking(self):
        reader, writer = os.pipe()
        os.set_blocking(reader, False)
        run = self.start("--dry-run", "echo", stdin=reader)
        os.close(reader)
        time.sleep(0.1)  # it finds nothing there at first
        os.write(writer, b"a\n")
        os.close(writer)
        run = run.finish()
        self.assertEqual((run.status, run.out, run.err), (0, b"echo a\n", b""), run)

    def test_a_full_disk_is_told(self):
        run = self.start(command=["sh", "-c", '"$T" map --dry-run echo ::: a >/dev/full']).finish()
        self.assertEqual(run.status, 1, run)
        self.assertIn("cannot write the commands: No space left on device", run.text)

    def test_results_are_not_made(self):
        self.start("--dry-run", "--results", "r", "echo", ":::", "a").finish()
        self.assertFalse(os.path.exists(self.path("r")))

    def test_a_reader_that_leaves_is_no_trouble(self):
        with open(self.path("many"), "wb") as many:
            many.write(b"item\n" * 100_000)
        run = self.start(command=["sh", "-c", '"$T" map --dry-run --from many echo | head -n 1']).finish()
        self.assertEqual((run.out, run.err), (b"echo item\n", b""), run)
