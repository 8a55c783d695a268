"""Interrupts: the first ends the run in order, the second at once; whoever sends them and however."""
import contextlib
import os
import signal
import subprocess
import time

from harness import CLOCK, HOLD, POLITE, STUBBORN, TENURE, Case, given_time, poll_until
from processes import marked, stat_of


class First(Case):
    def interrupt(self, script, send, *words, jobs=2, status=130, **more):
        run = self.start(f"-j{jobs}", *words, "sh", "-c", script, "sh", ":::", *"abcdef", **more)
        self.witness.wait_lines(jobs)
        began, began_fair = time.monotonic(), CLOCK.now()
        send(run)
        result = run.finish()
        self.wall, self.took = time.monotonic() - began, CLOCK.now() - began_fair
        self.assertEqual(result.status, status, result)
        self.assert_clean(result)
        self.assertEqual(len(self.witness.lines()), jobs, "no new item after the signal")
        return result

    def check_polite(self, result):
        self.assertEqual(self.read_lines("heard"), ["term", "term"])
        self.assertIn("ended     by an interrupt", result.text)
        self.assertIn("2 items while running", result.text)
        self.assertIn("4 items not started", result.text)
        self.assertLess(self.took, 3)

    def test_sigint_to_the_guard(self):
        self.check_polite(self.interrupt(POLITE, lambda run: run.signal(signal.SIGINT), status=-signal.SIGINT))

    def test_sigint_to_the_process_group(self):
        self.check_polite(self.interrupt(POLITE, lambda run: os.killpg(run.pid, signal.SIGINT),
                                         status=-signal.SIGINT, start_new_session=True))

    def test_sigint_to_the_engine_alone(self):
        self.check_polite(self.interrupt(POLITE, lambda run: os.kill(run.engine(), signal.SIGINT),
                                         status=-signal.SIGINT))

    def test_sigterm_to_the_guard(self):
        self.check_polite(self.interrupt(POLITE, lambda run: run.signal(signal.SIGTERM)))

    def test_sigterm_to_the_process_group(self):
        self.check_polite(self.interrupt(POLITE, lambda run: os.killpg(run.pid, signal.SIGTERM),
                                         start_new_session=True))

    def test_sighup_and_sigquit_end_it_in_order_too(self):
        for number in (signal.SIGHUP, signal.SIGQUIT):
            with self.subTest(number):
                self.check_polite(self.interrupt(POLITE, lambda run, n=number: run.signal(n)))
                os.unlink(self.path("heard"))
                self.witness.seen = b""

    def test_a_pkill_that_means_the_command(self):
        # Guard, engine and wardens all get it; the wardens must not end before their items.
        def pkill(run):
            for pid in run.own_processes():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGTERM)
        self.check_polite(self.interrupt(POLITE, pkill))

    def test_one_request_to_the_group_is_one_however_late_the_guard_is(self):
        script = POLITE.replace("exit 0", 'until [ -e \\"$D/go\\" ]; do sleep 0.01; done; echo bye; exit 0')
        run = self.start("-j1", "--grace", "60s", "sh", "-c", script, "sh", ":::", "a", start_new_session=True)
        self.witness.wait_lines(1)
        os.kill(run.pid, signal.SIGSTOP)
        os.killpg(run.pid, signal.SIGTERM)
        poll_until(lambda: self.read_lines("heard"), "SIGTERM to arrive")
        time.sleep(0.15)  # two copies that come in one way are less apart
        os.kill(run.pid, signal.SIGCONT)
        time.sleep(0.3)  # time in which a wrong tenure would take the guard's copy for a second request
        self.write("go", "")
        result = run.finish()
        self.assertEqual((result.status, result.out), (130, b"bye\n"), result)
        self.assert_clean(result)

    def test_a_warden_that_was_stopped_ends_its_item_too(self):
        def stop_one_and_interrupt(run):
            warden = run.wardens()[0]
            os.kill(warden, signal.SIGSTOP)
            poll_until(lambda: stat_of(warden)[1] == "T", "the warden to stop")
            run.signal(signal.SIGTERM)
        self.check_polite(self.interrupt(POLITE, stop_one_and_interrupt))

    def test_what_ignores_sigterm_is_killed_after_the_grace(self):
        result = self.interrupt(STUBBORN, lambda run: run.signal(signal.SIGINT), "--grace", "700ms",
                                status=-signal.SIGINT)
        self.assertEqual(self.read_lines("heard"), ["term", "term"])
        self.assertGreaterEqual(self.wall, 0.7)
        self.assertLess(self.took, 0.7 + 2)
        self.assertIn("2 items while running", result.text)

    def test_while_waiting_for_standard_input(self):
        run = self.start("-j2", "cat", stdin=subprocess.PIPE)
        run.engine()
        time.sleep(0.05)
        run.signal(signal.SIGINT)
        self.assertEqual(run.popen.wait(10), -signal.SIGINT)
        self.assert_clean(run.finish())

    def test_at_the_very_beginning(self):
        # At any moment from the first instruction on: it ends by the signal, and leaves nothing.
        for delay in [n * 0.0005 for n in range(24)]:
            run = self.start("-j2", "sh", "-c", HOLD + "exec sleep 60", "sh", ":::", "a", "b", "c")
            time.sleep(delay)
            run.signal(signal.SIGINT)
            result = run.finish(10)
            self.assertEqual(result.status, -signal.SIGINT, result)
            self.assert_nothing_lives(result)

    def test_while_an_item_waits_to_be_tried_again(self):
        run = self.start("--retries", "1000", "sh", "-c", HOLD + "exit 1", "sh", ":::", "a")
        self.witness.wait_lines(4)  # the next pause is 0.6 s at least
        began = CLOCK.now()
        run.signal(signal.SIGINT)
        result = run.finish(10)
        self.assertEqual(result.status, -signal.SIGINT, result)
        self.assertLess(CLOCK.now() - began, 2)
        self.assert_clean(result)

    def test_while_nobody_reads_the_output(self):
        run = self.start("-j2", "sh", "-c", HOLD + "head -c 1000000 /dev/zero", "sh", ":::", *"abcd")
        self.witness.wait_lines(4)
        poll_until(lambda: not self.witness.look(), "the items to end")
        run.signal(signal.SIGINT)
        run.signal(signal.SIGTERM)  # the second one: not even the reader is waited for
        self.assertEqual(run.popen.wait(10), -signal.SIGINT)
        result = run.finish()
        self.assert_clean(result)
        self.assertIn("output not written: 4 items", result.text)

    def test_while_nobody_reads_the_events(self):
        run = self.start("-j2", "--json", "sh", "-c", HOLD + "head -c 1000000 /dev/zero", "sh", ":::", *"abcd")
        self.witness.wait_lines(2)
        poll_until(lambda: not self.witness.look(), "the items to end")
        run.signal(signal.SIGINT)
        run.signal(signal.SIGTERM)
        self.assertEqual(run.popen.wait(10), -signal.SIGINT)
        self.assert_clean(run.finish())

    def test_while_nobody_reads_the_summary(self):
        # Standard error is a full pipe: the summary has to wait, and a second signal must end the waiting.
        reader, writer = os.pipe()
        self.addCleanup(os.close, reader)
        os.set_blocking(writer, False)
        try:
            while True:
                os.write(writer, b"x" * 4096)
        except BlockingIOError:
            os.set_blocking(writer, True)
        run = self.start("-j2", "--progress", "none", "sh", "-c", POLITE, "sh", ":::", "a", "b", stderr=writer)
        os.close(writer)
        self.witness.wait_lines(2)
        run.signal(signal.SIGINT)
        self.assertRaises(subprocess.TimeoutExpired, run.popen.wait, 0.5)
        run.signal(signal.SIGINT)
        self.assertEqual(run.popen.wait(10), -signal.SIGINT)
        self.assert_nothing_lives()

    def test_results_hold_what_was_stopped(self):
        self.interrupt("echo begun; " + HOLD + "exec sleep 60", lambda run: run.signal(signal.SIGINT), "--results", "r",
                       status=-signal.SIGINT)
        for number in ("1", "2"):
            self.assertIn(b"state=stopped\n", self.read("r", number, "status"))
            self.assertEqual(self.read("r", number, "stdout"), b"begun\n")
        self.assertFalse(os.path.exists(self.path("r", "3")))


class Second(Case):
    def test_ends_at_once_what_the_grace_would_let_live(self):
        for first, second in ((signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGTERM),
                              (signal.SIGTERM, signal.SIGINT)):
            with self.subTest(first=first, second=second):
                run = self.start("-j2", "--grace", "60s", "sh", "-c", STUBBORN, "sh", ":::", "a", "b", "c")
                self.witness.wait_lines(2)
                run.signal(first)
                poll_until(lambda: len(self.read_lines("heard")) == 2, "SIGTERM to arrive")
                time.sleep(0.15)  # two of one sender within 0.1 s count as one
                began = CLOCK.now()
                run.signal(second)
                result = run.finish(10)
                self.assertLess(CLOCK.now() - began, 2)
                self.assertEqual(result.status, -signal.SIGINT if signal.SIGINT in (first, second) else 130, result)
                self.assert_clean(result)
                os.unlink(self.path("heard"))
                self.witness.seen = b""

    def test_ends_runaways_too(self):
        script = 'case $1 in stubborn) ' + STUBBORN + ';; esac; exec python3 "$NASTY" "$1"'
        run = self.start("-j3", "--grace", "60s", "sh", "-c", script, "sh", ":::", "ignores_term", "subreaper", "stubborn")
        self.witness.wait_lines(5)
        run.signal(signal.SIGINT)
        poll_until(lambda: self.read_lines("heard"), "SIGTERM to arrive")  # or the second could meet the first one
        time.sleep(0.15)
        began = CLOCK.now()
        run.signal(signal.SIGINT)
        result = run.finish(10)
        self.assertLess(CLOCK.now() - began, 2)
        self.assertEqual(result.status, -signal.SIGINT, result)
        self.assert_clean(result)


class Timeout1(Case):
    @given_time
    def test_timeout_of_coreutils_lets_items_clean_up(self):
        # It signals its child, then the whole group: one request, not two.
        run = self.start(command=["timeout", f"{self.second}", TENURE, "map", "-j2", "sh", "-c", POLITE, "sh", ":::", "a", "b",
                                  "c"])
        result = run.finish(15)
        self.assertEqual(result.status, 124, result)
        self.assert_clean(result)
        self.assertEqual(self.read_lines("heard"), ["term", "term"])
        self.assertIn("ended     by an interrupt", result.text)

    @given_time
    def test_and_gives_them_their_grace(self):
        run = self.start(command=["timeout", f"{self.second}", TENURE, "map", "-j1", "--grace", "1s", "sh", "-c", STUBBORN, "sh",
                                  ":::", "a"])
        result = run.finish(15)
        self.assertEqual(result.status, 124, result)
        self.assertGreaterEqual(result.wall, self.second + 0.9)
        self.assert_clean(result)

    @given_time
    def test_timeout_with_kill_leaves_nothing(self):
        run = self.start(command=["timeout", "-s", "KILL", f"{self.second}", TENURE, "map", "-j2", "sh", "-c",
                                  HOLD + "setsid sleep 60 & sleep 60", "sh", ":::", "a", "b"])
        self.witness.wait_lines(2)
        self.assertIn(run.popen.wait(10), (137, -9))
        self.wait_nothing_lives(2)


class Ignored(Case):
    def test_nohup_is_honoured(self):
        run = self.start("-j1", "sh", "-c", HOLD + 'while [ ! -e "$D/go" ]; do sleep 0.01; done', "sh", ":::", "a",
                         preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
        self.witness.wait_lines(1)
        run.signal(signal.SIGHUP)
        os.kill(run.engine(), signal.SIGHUP)
        self.assertRaises(subprocess.TimeoutExpired, run.popen.wait, 0.3)
        self.write("go", "")
        self.assertEqual(run.finish().status, 0)

    def test_an_ignored_sigint_is_for_the_foreground_and_not_for_us(self):
        # `sh -c 'tenure … &'`: a shell without job control starts it with SIGINT and SIGQUIT ignored.
        run = self.start(command=["sh", "-c", '"$T" map -j1 sh -c "$S" sh ::: a & wait'], start_new_session=True,
                         env=self.environment(S=HOLD + 'while [ ! -e "$D/go" ]; do sleep 0.01; done; echo ok'))
        self.witness.wait_lines(1)
        inner = next(pid for pid in marked(self.mark) if stat_of(pid)[0] == "tenure" and stat_of(pid)[2] == run.pid)
        os.kill(inner, signal.SIGINT)
        time.sleep(0.3)
        self.write("go", "")
        result = run.finish()
        self.assertEqual(result.out, b"ok\n", result)

    def test_signals_without_a_meaning_do_not_end_the_run(self):
        run = self.start("-j1", "sh", "-c", HOLD + 'while [ ! -e "$D/go" ]; do sleep 0.01; done', "sh", ":::", "a")
        self.witness.wait_lines(1)
        for number in (signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH, signal.SIGPIPE, signal.SIGCONT):
            if number is not signal.SIGPIPE:
                run.signal(number)
            os.kill(run.engine(), number)
        time.sleep(0.1)
        self.write("go", "")
        result = run.finish()
        self.assertEqual(result.status, 0, result)
        self.assert_clean(result)
