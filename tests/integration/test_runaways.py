# ctest: as nobody too
"""Items that do not want to end: everything they started ends with them within 2 s, and nobody else."""
import datetime
import os

from harness import Case, isolation_works

# How many processes of each kind say that they are there.
KINDS = {"plain": 2, "setsid": 2, "double_fork": 2, "env_i": 2, "daemon_alone": 1, "env_i_daemon_alone": 1,
         "bomb": 201, "ignores_term": 2, "stopped": 2, "zombies": 2, "subreaper": 2, "hopper": 2}
ALONE = ("daemon_alone", "env_i_daemon_alone")  # the item itself is gone before
NEIGHBOURS = [str(n) for n in range(8)]


def when(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


class Runaway(Case):
    def catch(self, kind, *words):
        # Two of the kind at once; in a third slot neighbours come and go; another one is outside.
        outside = self.start(command=["sleep", "60"], env={"PATH": os.environ["PATH"]})
        for timeout in (1, 4, 16):  # again when the machine was so busy that it was ended before it was what it is
            self.witness.seen = b""
            run = self.run_map("-j3", "--json", "--grace", "300ms", "--timeout", f"{timeout}s", *words, "sh", "-c",
                               'case $1 in [0-9]*) exec sleep 0.1;; *) exec python3 "$NASTY" "$1";; esac', "sh",
                               ":::", kind, kind, *NEIGHBOURS)
            ends = {event["seq"]: event for event in run.events if event["event"] == "end"}
            in_time = ends if kind in ALONE else range(3, 3 + len(NEIGHBOURS))
            late = [seq for seq in in_time if ends[seq]["status"] == "timed_out"]
            # `ended` is told when the last of them is gone; the kill comes with the timeout, or with the item's end.
            took = [when(ends[seq]["ended"]) - when(ends[seq]["started"]) -
                    (ends[seq]["wall_ms"] / 1000 if kind in ALONE else timeout) for seq in (1, 2)]
            if not late and len(self.witness.lines()) == 2 * KINDS[kind] and max(took) < 2:
                break
        self.assertEqual(len(self.witness.lines()), 2 * KINDS[kind], run)
        status = "succeeded" if kind in ALONE else "timed_out"
        self.assertEqual([ends[1]["status"], ends[2]["status"]], [status, status], run)
        self.assertLess(max(took), 2, run)
        self.assertEqual({ends[seq]["status"] for seq in range(3, 3 + len(NEIGHBOURS))}, {"succeeded"}, run)
        self.assertIsNone(outside.popen.poll())
        outside.popen.kill()
        outside.popen.wait()

    def catch_isolated(self, kind):
        if isolation_works(self):
            self.catch(kind, "--isolate")
            return
        run = self.run_map("--isolate", "python3", self.nasty, ":::", kind, status=1)
        self.assertRegex(run.text, r"namespace.*\(1 item\)")


class ByWarden(Runaway):
    def test_plain(self):
        self.catch("plain")

    def test_setsid(self):
        self.catch("setsid")

    def test_double_fork(self):
        self.catch("double_fork")

    def test_env_i(self):
        self.catch("env_i")

    def test_daemon_alone(self):
        self.catch("daemon_alone")

    def test_env_i_daemon_alone(self):
        self.catch("env_i_daemon_alone")

    def test_bomb(self):
        self.catch("bomb")

    def test_ignores_term(self):
        self.catch("ignores_term")

    def test_stopped(self):
        self.catch("stopped")

    def test_zombies(self):
        self.catch("zombies")

    def test_subreaper(self):
        self.catch("subreaper")

    def test_hopper(self):
        self.catch("hopper")


class InNamespace(Runaway):
    def test_plain(self):
        self.catch_isolated("plain")

    def test_setsid(self):
        self.catch_isolated("setsid")

    def test_double_fork(self):
        self.catch_isolated("double_fork")

    def test_env_i(self):
        self.catch_isolated("env_i")

    def test_daemon_alone(self):
        self.catch_isolated("daemon_alone")

    def test_env_i_daemon_alone(self):
        self.catch_isolated("env_i_daemon_alone")

    def test_bomb(self):
        self.catch_isolated("bomb")

    def test_ignores_term(self):
        self.catch_isolated("ignores_term")

    def test_stopped(self):
        self.catch_isolated("stopped")

    def test_zombies(self):
        self.catch_isolated("zombies")

    def test_subreaper(self):
        self.catch_isolated("subreaper")

    def test_hopper(self):
        self.catch_isolated("hopper")
