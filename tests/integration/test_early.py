# ctest: as nobody too
"""Items that wardens start by themselves, because the engine has offered them ahead: each once, and in order."""
import contextlib
import json
import os
import random
import resource
import signal
import subprocess

from harness import Case, given_time, limit_to, poll_until
from processes import stat_of, tree

LOG = 'echo "$1" >> "$D/log"; '


class InTurn(Case):
    def log(self):
        return self.read_lines("log")

    def items(self, count):
        return [str(number) for number in range(1, count + 1)]

    def test_one_slot_starts_items_in_their_order(self):
        self.run_map("-j1", "sh", "-c", LOG, "sh", ":::", *self.items(300), status=0)
        self.assertEqual(self.log(), self.items(300))

    def test_the_engine_is_not_waited_for(self):
        # It stands still from the first item on. Those that were offered run all the same, and no more than those.
        run = self.start("-j2", "sh", "-c", 'case $1 in 1|2) while [ ! -e "$D/go" ]; do sleep 0.01; done;; esac; ' + LOG,
                         "sh", ":::", *self.items(40))
        # (Before it starts the engine the guard tries a control group with another child.)
        poll_until(lambda: len(run.wardens()) == 2, "two wardens")
        engine = run.engine()
        # Both items run, and whatever the engine wants to do is done, when it sleeps.
        poll_until(lambda: len([p for p in tree(run.pid) if (stat_of(p) or ("",))[0] == "sh"]) == 2 and
                   stat_of(engine)[1] == "S", "both items")
        os.kill(engine, signal.SIGSTOP)
        self.write("go", "")
        try:
            poll_until(lambda: len(self.log()) == 4, lambda: f"two items and two more: {self.log()}")
            poll_until(lambda: stat_of(run.wardens(engine)[0])[1] == "S", "nothing to do")
            self.assertEqual(sorted(self.log()), ["1", "2", "3", "4"])
            poll_until(lambda: stat_of(run.pid)[1] == "T", "the command to stand still")  # or it would do so later
        finally:
            os.kill(engine, signal.SIGCONT)
            os.kill(run.pid, signal.SIGCONT)
        result = run.finish()
        self.assert_clean(result)
        self.assertEqual(result.counts["done"], 40, result)
        self.assertEqual(sorted(self.log(), key=int), self.items(40))

    def test_what_a_warden_told_before_it_died_counts(self):
        # It ends item 1, goes on with 2, and is killed, while the engine stands still with an interrupt before its eyes.
        script = LOG + 'case $1 in 1) while [ ! -e "$D/go" ]; do sleep 0.01; done;; 2) exec sleep 60;; esac'
        run = self.start("-j1", "--json", "sh", "-c", script, "sh", ":::", "1", "2", "3")
        poll_until(lambda: self.log() == ["1"], "the first item")
        engine = run.engine()
        poll_until(lambda: stat_of(engine)[1] == "S", "whatever the engine wants to do to be done")
        warden = run.wardens(engine)[0]
        os.kill(engine, signal.SIGSTOP)
        poll_until(lambda: stat_of(run.pid)[1] == "T", "the command to stand still")
        os.kill(engine, signal.SIGINT)
        self.write("go", "")
        poll_until(lambda: self.log() == ["1", "2"], "the second item")
        os.kill(warden, signal.SIGKILL)
        for pid in (engine, run.pid):
            os.kill(pid, signal.SIGCONT)
        result = run.finish()
        self.assert_clean(result)
        self.assertEqual([(event["seq"], event["status"]) for event in result.events if event["event"] == "end"],
                         [(1, "succeeded"), (2, "failed")], result)

    def test_an_item_is_tried_again_before_the_next_one_starts(self):
        script = LOG + '[ "$1" != 20 ] || [ "$(grep -c "^20$" "$D/log")" -gt 2 ]'
        self.run_map("-j1", "--retries", "3", "sh", "-c", script, "sh", ":::", *self.items(40), status=0)
        self.assertEqual(self.log(), self.items(19) + ["20"] * 3 + self.items(40)[20:])

    def test_fail_fast_starts_nothing_after_the_failure(self):
        for _ in range(5):
            self.write("log", "", mode=0o666)
            self.run_map("-j1", "--fail-fast", "sh", "-c", LOG + '[ "$1" -lt 25 ]', "sh", ":::", *self.items(60),
                         status=1)
            self.assertEqual(self.log(), self.items(25))

    def test_none_waits_behind_a_long_one(self):
        script = 'case $1 in 10) while [ "$(grep -c . "$D/log")" -lt 199 ]; do sleep 0.01; done;; esac; ' + LOG
        self.run_map("-j2", "sh", "-c", script, "sh", ":::", *self.items(200), status=0)
        self.assertEqual(self.log()[-1], "10")

    def test_output_in_the_order_of_the_items(self):
        run = self.run_map("-j4", "--order", "input", "sh", "-c", 'echo "$1"; echo "e$1" >&2', "sh", ":::",
                           *self.items(500), status=0)
        self.assertEqual(run.out.decode().split(), self.items(500))

    @given_time
    def test_items_that_fail_and_items_that_are_not_found_are_all_told(self):
        script = 'case $1 in *3) exit 3;; *5) kill -9 $$;; *7) sleep 5;; esac'
        run = self.run_map("-j3", "--timeout", f"{200 * self.second}ms", "--json", "sh", "-c", script, "sh", ":::",
                           *self.items(100), status=1)
        ends = {event["seq"]: event for event in run.events if event["event"] == "end"}
        self.assertEqual(sorted(ends), list(range(1, 101)))
        for number, event in ends.items():
            last = number % 10
            self.assertEqual((event.get("exit"), event.get("signal"), bool(event.get("timed_out"))),
                             {3: (3, None, False), 5: (None, "SIGKILL", False),
                              7: (None, "SIGTERM", True)}.get(last, (0, None, False)), event)

    def test_a_start_is_told_before_its_end(self):
        run = self.run_map("-j2", "--json", "true", ":::", *self.items(300), status=0)
        running = set()
        for event in run.events:
            if event["event"] == "start":
                running.add(event["seq"])
            elif event["event"] == "end":
                running.remove(event["seq"])
        self.assertFalse(running)

    def test_output_that_is_lost_has_the_item_tried_again(self):
        # A place for long output that takes nothing: what the item wrote is lost, and its warden has gone on meanwhile.
        script = LOG + '[ "$1" != 20 ] || head -c 300000 /dev/zero'
        env = self.environment(TMPDIR="/no/such/folder")
        run = self.run_map("-j1", "--retries", "1", "sh", "-c", script, "sh", ":::", *self.items(40), status=1, env=env)
        self.assertEqual(run.counts, {"done": 39, "failed": 1, "timed out": 0, "retried": 1})
        self.assertEqual(sorted(self.log(), key=int), sorted(self.items(40) + ["20"], key=int))

    def test_few_descriptors(self):
        for limit in (26, 28, 30, 32, 34, 36, 38, 40, 42, 64):
            with self.subTest(limit):
                self.write("log", "", mode=0o666)
                run = self.run_map("-j2", "sh", "-c", LOG, "sh", ":::", *self.items(50), status=0,
                                   preexec_fn=limit_to(resource.RLIMIT_NOFILE, limit))
                self.assertEqual(run.counts["done"], 50)
                self.assertEqual(sorted(self.log(), key=int), self.items(50))


class Once(Case):
    """Whatever happens, an item is started once, or not at all and then it is not counted."""

    ROUNDS = 4
    ITEMS = 1500

    def rounds(self):
        seed = int(os.environ.get("TENURE_STRESS_SEED") or random.randrange(1 << 30))
        chance = random.Random(seed)
        for number in range(self.ROUNDS):
            self.write("log", "", mode=0o666)
            yield chance, f"TENURE_STRESS_SEED={seed}, round {number}"

    def begin(self, *words):
        with open(self.path("events"), "wb") as events:
            run = self.start("-j3", "--json", *words, "sh", "-c", LOG, "sh", ":::",
                             *(str(number) for number in range(1, self.ITEMS + 1)), stdout=events)
        poll_until(lambda: self.read_lines("log") or (words and run.popen.poll() is not None),
                   "the first item, or a deadline")
        return run

    def finish(self, run):
        """The items that have run, the status of those that have ended, and the summary."""
        result = run.finish()
        self.assert_clean(result)
        events = [json.loads(line) for line in self.read_lines("events")]
        ended = [event for event in events if event["event"] == "end"]
        states = {str(event["seq"]): event["status"] for event in ended}
        self.assertEqual(len(states), len(ended), "an item ended twice")
        ran = self.read_lines("log")
        self.assertEqual(len(set(ran)), len(ran), "an item ran twice")
        self.assertFalse(set(ran) - set(states), "an item ran, and its end was not told")
        self.assertFalse({seq for seq, state in states.items() if state == "succeeded"} - set(ran),
                         "an item succeeded and has not run")
        summary = next(event for event in events if event["event"] == "summary")
        self.assertEqual(len(states) + (summary["not_started"] or 0), self.ITEMS)
        return states, summary

    def running_items(self, run):
        below = [stat_of(pid) for pid in tree(run.pid)]
        return [about for about in below if about and about[0] == "sh" and about[1] not in "TZX"]

    def test_with_wardens_killed_again_and_again(self):
        for chance, told in self.rounds():
            with self.subTest(told):
                run = self.begin()
                killed = 0
                while run.popen.poll() is None:
                    wardens = [pid for pid in tree(run.pid) if (stat_of(pid) or ("",))[0] == "tenure-warden"]
                    with contextlib.suppress(ProcessLookupError, IndexError):
                        os.kill(chance.choice(wardens), signal.SIGKILL)
                        killed += 1
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        run.popen.wait(chance.uniform(0, 0.05))
                states, summary = self.finish(run)
                self.assertEqual((len(states), summary["stopped"]), (self.ITEMS, 0))
                self.assertLessEqual(summary["failed"], killed)

    def test_when_interrupted(self):
        for chance, told in self.rounds():
            with self.subTest(told):
                run = self.begin()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    run.popen.wait(chance.uniform(0, 0.3))
                run.signal(signal.SIGINT)
                states, summary = self.finish(run)
                self.assertLessEqual(summary["stopped"], 3)
                self.assertEqual(summary["failed"], 0)

    def test_with_a_deadline(self):
        for chance, told in self.rounds():
            with self.subTest(told):
                states, summary = self.finish(self.begin("--deadline", f"{chance.randrange(100, 500)}ms"))
                self.assertLessEqual(summary["stopped"], 3)
                self.assertEqual(summary["failed"], 0)

    def test_when_stopped_and_continued(self):
        for chance, told in self.rounds():
            with self.subTest(told):
                run = self.begin()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    run.popen.wait(chance.uniform(0, 0.1))
                run.signal(signal.SIGTSTP)
                poll_until(lambda: run.popen.poll() is not None or stat_of(run.pid)[1] == "T", "the command to stop")
                if run.popen.poll() is None:
                    # The wardens stop their items behind the engine's back; then nothing runs and nothing starts.
                    poll_until(lambda: not self.running_items(run), "the items to stop")
                    seen = self.read_lines("log")
                    self.assertRaises(subprocess.TimeoutExpired, run.popen.wait, 0.05)
                    self.assertFalse(self.running_items(run))
                    self.assertEqual(self.read_lines("log"), seen)
                    run.signal(signal.SIGCONT)
                states, summary = self.finish(run)
                self.assertEqual((summary["done"], summary["failed"]), (self.ITEMS, 0))
