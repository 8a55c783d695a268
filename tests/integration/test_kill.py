# ctest: as nobody too
"""SIGKILL to the guard, the engine or a warden: nothing of the run survives it."""
import os
import random
import signal
import subprocess

from harness import HOLD, Case, isolation_works, poll_until
from processes import children, marked, stat_of, tree

# An item with a child in its group, one in a session of its own, and an orphan.
FAMILY = HOLD + ('sleep 60 & setsid sh -c \'echo "far $$" >&9; trap "" TERM; sleep 60\' & '
                 '( setsid sh -c \'echo "orphan $$" >&9; exec sleep 60\' & ) ; wait')
# Short-lived families, as many as can be started: a kill comes at any moment of a start or an end.
BUSY = 'setsid sleep 0.03 & ( sleep 0.02 & ) ; [ "$1" != "$RARE" ] || echo ran; sleep 0.01'


class Killed(Case):
    def family(self, *words, jobs=2):
        run = self.start(f"-j{jobs}", *words, "sh", "-c", FAMILY, "sh", ":::", *"abcdefgh")
        self.witness.wait_lines(3 * jobs)
        return run

    def test_the_guard(self):
        run = self.family()
        os.kill(run.pid, signal.SIGKILL)
        self.assertEqual(run.popen.wait(10), -signal.SIGKILL)
        self.wait_nothing_lives(2)
        self.assertEqual(len(self.witness.lines()), 6, "no new items")

    def test_the_engine(self):
        run = self.family()
        os.kill(run.engine(), signal.SIGKILL)
        self.assertEqual(run.popen.wait(10), -signal.SIGKILL)
        # The guard has seen to it before it left.
        self.assert_nothing_lives()

    def test_the_engine_by_another_signal(self):
        run = self.family()
        os.kill(run.engine(), signal.SIGSEGV)
        self.assertEqual(run.popen.wait(10), -signal.SIGSEGV)
        self.assert_nothing_lives()

    def test_a_warden(self):
        script = ('case $1 in victim) ' + FAMILY + ';; *) while [ ! -e "$D/go" ]; do sleep 0.01; done; echo "$1";; '
                  "esac")
        run = self.start("-j2", "sh", "-c", script, "sh", ":::", "other", "victim", "c", "d", "e")
        lines = self.witness.wait_lines(3)
        victim = int(next(line for line in lines if line.startswith("victim")).split()[1])
        os.kill(stat_of(victim)[2], signal.SIGKILL)
        poll_until(lambda: not self.witness.look(), "the victim's family to end", limit=2)
        self.write("go", "")
        result = run.finish()
        self.assertEqual(result.status, 1, result)
        self.assert_clean(result)
        self.assertEqual(result.counts, {"done": 4, "failed": 1, "timed out": 0, "retried": 0})
        self.assertEqual(sorted(result.out.split()), [b"c", b"d", b"e", b"other"])
        self.assertIn("warden", result.text)

    def test_every_warden_one_after_the_other(self):
        run = self.start("-j3", "sh", "-c", 'case $1 in [a-c]) ' + FAMILY + ";; esac", "sh", ":::", *"abcdef")
        self.witness.wait_lines(9)
        for warden in run.wardens():
            os.kill(warden, signal.SIGKILL)
        result = run.finish()
        self.assert_clean(result)
        self.assertEqual((result.counts["done"], result.counts["failed"]), (3, 3), result)

    def test_a_warden_with_retries_starts_the_item_again(self):
        script = 'if mkdir "$D/first" 2>/dev/null; then ' + FAMILY + "; fi"
        run = self.start("-j1", "--retries", "1", "sh", "-c", script, "sh", ":::", "a")
        self.witness.wait_lines(3)
        os.kill(run.wardens()[0], signal.SIGKILL)
        result = run.finish()
        self.assertEqual(result.status, 0, result)
        self.assert_clean(result)
        self.assertEqual(result.counts["retried"], 1)

    def test_guard_then_engine(self):
        run = self.family()
        engine = run.engine()
        os.kill(run.pid, signal.SIGKILL)
        try:
            os.kill(engine, signal.SIGKILL)
        except ProcessLookupError:
            pass
        run.popen.wait(10)
        self.wait_nothing_lives(3)

    def test_the_whole_process_group(self):
        run = self.start("-j2", "sh", "-c", FAMILY, "sh", ":::", *"abcd", start_new_session=True)
        self.witness.wait_lines(6)
        os.killpg(run.pid, signal.SIGKILL)  # guard and engine
        run.popen.wait(10)
        self.wait_nothing_lives(3)

    def test_the_guard_of_isolated_items(self):
        run = self.start("-j2", "--isolate", "python3", self.nasty, "{}", ":::", "subreaper", "ignores_term")
        if not isolation_works(self):
            self.assertIn("namespace", run.finish().text)
            return
        self.witness.wait_lines(4)
        os.kill(run.pid, signal.SIGKILL)
        run.popen.wait(10)
        self.wait_nothing_lives(2)

    def test_the_engine_with_runaways(self):
        run = self.start("-j4", "python3", self.nasty, "{}", ":::", "subreaper", "ignores_term", "env_i", "stopped")
        self.witness.wait_lines(8)
        os.kill(run.engine(), signal.SIGKILL)
        run.popen.wait(10)
        self.wait_nothing_lives(2)

    def test_a_run_inside_a_run(self):
        # The inner wardens are subreapers too, with processes below them that the outer one never saw start.
        for victim in (lambda run: run.pid, lambda run: run.engine(), lambda run: run.wardens()[0]):
            self.witness.seen = b""
            run = self.start("-j1", "sh", "-c", 'exec "$T" map -j2 sh -c "$FAMILY" sh ::: x y', ":::", "only",
                             env=self.environment(FAMILY=FAMILY))
            self.witness.wait_lines(6)
            os.kill(victim(run), signal.SIGKILL)
            run.popen.wait(10)
            self.wait_nothing_lives(3)

    def test_results_that_are_there_are_complete(self):
        run = self.start("-j2", "--results", "r", "sh", "-c", "head -c 100000 /dev/zero; echo done >&2", "sh",
                         stdin=subprocess.PIPE)
        run.popen.stdin.write(b"x\n" * 2000)
        run.popen.stdin.close()
        run.popen.stdin = None
        poll_until(lambda: os.path.exists(self.path("r", "20", "status")), "some results")
        os.kill(run.pid, signal.SIGKILL)
        run.popen.wait(10)
        self.wait_nothing_lives(2)
        stored = [int(number) for number in os.listdir(self.path("r"))
                  if os.path.exists(self.path("r", number, "status"))]
        for number in map(str, stored):
            self.assertEqual(os.path.getsize(self.path("r", number, "stdout")), 100_000)
            self.assertEqual(self.read("r", number, "stderr"), b"done\n")
            self.assertIn(b"reason=\n", self.read("r", number, "status"))
        # Items start in order, and a slot stores its item before it starts the next. So when the last one was stored,
        # all before it had been too, but for one that was under way in the other slot.
        missing = set(range(1, max(stored))) - set(stored)
        self.assertLessEqual(len(missing), 1, missing)


class UnderLoad(Case):
    """At random moments, while items start and end as fast as they can. The seed is told when it fails."""

    ROUNDS = 8

    def rounds(self, victim):
        seed = int(os.environ.get("TENURE_STRESS_SEED") or random.randrange(1 << 30))
        chance = random.Random(seed)
        with open(os.devnull, "r+b") as null:
            for number in range(self.ROUNDS):
                with self.subTest(seed=seed, round=number):
                    run = self.start("-j4", "sh", "-c", BUSY, "sh", stdin=subprocess.PIPE, stdout=null, stderr=null)
                    run.popen.stdin.write(b"x\n" * 8000)
                    run.popen.stdin.flush()
                    poll_until(lambda: len(run.wardens()) == 4, "four wardens")
                    moment = chance.uniform(0, 0.2)
                    self.assertRaises(subprocess.TimeoutExpired, run.popen.wait, moment)
                    victim(run, chance)
                    run.popen.stdin.close()
                    run.popen.stdin = None
                    run.popen.wait(10)
                    self.wait_nothing_lives(2)

    def test_the_guard(self):
        self.rounds(lambda run, chance: os.kill(run.pid, signal.SIGKILL))

    def test_the_engine(self):
        self.rounds(lambda run, chance: os.kill(run.engine(), signal.SIGKILL))

    def test_a_warden_and_then_the_guard(self):
        def both(run, chance):
            os.kill(chance.choice(run.wardens()), signal.SIGKILL)
            os.kill(run.pid, signal.SIGKILL)
        self.rounds(both)

    def test_wardens_again_and_again_lose_only_their_items(self):
        chance = random.Random(7)
        run = self.start("-j4", "sh", "-c", BUSY, "sh", stdin=subprocess.PIPE)
        run.popen.stdin.write(b"x\n" * 400)
        run.popen.stdin.close()
        run.popen.stdin = None
        killed = 0
        while run.popen.poll() is None and killed < 20:
            wardens = [pid for pid in tree(run.pid) if (stat_of(pid) or [""])[0] == "tenure-warden"]
            if wardens:
                try:
                    os.kill(chance.choice(wardens), signal.SIGKILL)
                    killed += 1
                except ProcessLookupError:
                    pass
            try:
                run.popen.wait(chance.uniform(0.01, 0.08))
            except subprocess.TimeoutExpired:
                pass
        result = run.finish()
        self.assert_clean(result)
        counts = result.counts
        self.assertGreaterEqual(killed, 5)
        self.assertEqual(counts["done"] + counts["failed"], 400, result)
        self.assertLessEqual(counts["failed"], killed, result)


class EscapeRoutes(Case):
    def test_a_strange_child_of_the_command_is_not_ours_to_end(self):
        # exec keeps the children that a shell had before: they are the user's, and not items.
        run = self.start(command=["sh", "-c", 'sleep 60 & echo $! > "$D/pid"; exec "$T" map -j1 echo ::: a'])
        status = run.popen.wait(10)
        pid = int(self.read("pid"))
        lives = stat_of(pid) is not None and stat_of(pid)[1] != "Z"
        for left in [pid] + [p for p in marked(self.mark) if p in children(os.getpid())]:
            try:
                os.kill(left, signal.SIGKILL)
            except ProcessLookupError:
                pass
        run.finish()
        self.assertEqual(status, 0)
        self.assertTrue(lives, "a process that was there before the run was ended")
