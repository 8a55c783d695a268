"""In a pseudo-terminal: Ctrl-C, Ctrl-Z and fg, hanging up, --tty, the progress bar."""
import re
import shutil
import signal
import time

from harness import AUDIT, CLOCK, HOLD, POLITE, STUBBORN, TENURE, Case, given_time, isolation_works, poll_until
from processes import children, stat_of
from terminal import Terminal

UNTIL_GO = HOLD + 'while [ ! -e "$D/go" ]; do sleep 0.01; done; echo "went $1"'


class OnTerminal(Case):
    def open(self, *words, **more):
        return Terminal(self, TENURE, "map", *words, **more)

    def end(self, terminal, status, event=1):
        """The job ends with `status`; the terminal is as it was, and nothing lives."""
        report = terminal.wait_event(event)
        self.assertEqual(report[:2], ["ended", status], terminal.screen)
        # A shell takes the terminal back itself; a job that lent it to somebody else has it again.
        self.assertIn(report[2], ("job", "shell"), terminal.screen)
        self.assertTrue(report[3], "the modes of the terminal have changed")
        terminal.look()
        terminal.leave()
        self.assert_nothing_lives()
        self.assertIn(AUDIT.encode(), terminal.look())
        return terminal.screen.decode("utf-8", "replace").replace("\r\n", "\n")


class CtrlC(OnTerminal):
    def test_once_ends_the_run_in_order(self):
        terminal = self.open("-j2", "sh", "-c", POLITE, "sh", ":::", *"abcd")
        self.witness.wait_lines(2)
        terminal.type(b"\x03")
        screen = self.end(terminal, -signal.SIGINT)
        self.assertEqual(self.read_lines("heard"), ["term", "term"])
        self.assertEqual(len(self.witness.lines()), 2)
        self.assertIn("by an interrupt", screen)
        self.assertIn("2 items not started", screen)

    def test_twice_ends_it_at_once(self):
        terminal = self.open("-j2", "--grace", "60s", "sh", "-c", STUBBORN, "sh", ":::", *"abcd")
        self.witness.wait_lines(2)
        terminal.type(b"\x03")
        poll_until(lambda: len(self.read_lines("heard")) == 2, "SIGTERM to arrive")
        time.sleep(0.15)
        began = CLOCK.now()
        terminal.type(b"\x03")
        self.end(terminal, -signal.SIGINT)
        self.assertLess(CLOCK.now() - began, 2)

    def test_ctrl_backslash_is_an_interrupt_too(self):
        terminal = self.open("-j2", "sh", "-c", POLITE, "sh", ":::", *"abcd")
        self.witness.wait_lines(2)
        terminal.type(b"\x1c")
        self.end(terminal, 130)
        self.assertEqual(self.read_lines("heard"), ["term", "term"])

    def test_while_items_are_typed(self):
        terminal = self.open("echo")
        terminal.wait_screen(b"0 items")
        terminal.type(b"\x03")
        self.end(terminal, -signal.SIGINT)

    def test_ends_the_script_that_has_called_it(self):
        loop = 'for i in 1 2 3; do "$T" map -j1 sh -c "$S" sh ::: a; echo "it $i"; done; echo END'
        terminal = Terminal(self, shutil.which("bash"), "-c", loop, env={"S": HOLD + "exec sleep 60"})
        self.witness.wait_lines(1)
        terminal.type(b"\x03")
        screen = self.end(terminal, -signal.SIGINT)
        self.assertIn("by an interrupt", screen)
        self.assertNotIn("it 1", screen)
        self.assertNotIn("END", screen)


class Summary(OnTerminal):
    def test_lines_fit_the_terminal_whatever_the_items_hold(self):
        for columns in (80, 100):
            with self.subTest(columns):
                terminal = self.open("-j1", "--progress", "none", "/no/such/place/" + "command" * 20, ":::", "x" * 500,
                                     "wide \u4e16\u754c" * 40, columns=columns)
                lines = self.end(terminal, 1).splitlines()
                self.assertEqual(max(map(len, lines)), columns, lines)  # what is longer is cut there


class CtrlZ(OnTerminal):
    def states(self, pids):
        return [stat_of(pid)[1] for pid in pids]

    def test_stops_everything_and_fg_goes_on(self):
        terminal = self.open("-j2", "sh", "-c", UNTIL_GO, "sh", ":::", "a", "b")
        items = [int(line.split()[1]) for line in self.witness.wait_lines(2)]
        guard = terminal.job()
        terminal.type(b"\x1a")
        self.assertEqual(terminal.wait_event(1)[0], "stopped")
        self.assertEqual(self.states([guard, *children(guard)]), ["T", "T"])
        # They stop when they next run; a shell whose child was stopped between vfork() and exec waits for it in D.
        poll_until(lambda: set(self.states(items)) <= {"T", "D"}, "the items to stop", limit=2)
        self.write("go", "")
        terminal.order("fg")
        screen = self.end(terminal, 0, event=2)
        self.assertIn("went a", screen)
        self.assertIn("went b", screen)

    def test_again_and_again(self):
        terminal = self.open("-j2", "sh", "-c", UNTIL_GO, "sh", ":::", "a", "b")
        self.witness.wait_lines(2)
        for stop in (1, 2, 3):
            terminal.type(b"\x1a")
            self.assertEqual(terminal.wait_event(stop)[0], "stopped")
            terminal.order("fg")
            poll_until(lambda: set(self.states([terminal.job(), *children(terminal.job())])) <= {"S", "R"}, "fg")
        self.write("go", "")
        self.end(terminal, 0, event=4)

    def test_bg_goes_on_without_the_terminal(self):
        terminal = self.open("-j1", "sh", "-c", UNTIL_GO, "sh", ":::", "a")
        self.witness.wait_lines(1)
        terminal.type(b"\x1a")
        terminal.wait_event(1)
        terminal.order("bg")
        self.write("go", "")
        self.assertIn("went a", self.end(terminal, 0, event=2))

    def test_a_stopped_run_can_be_interrupted(self):
        terminal = self.open("-j2", "sh", "-c", POLITE, "sh", ":::", "a", "b", "c")
        self.witness.wait_lines(2)
        guard = terminal.job()
        terminal.type(b"\x1a")
        terminal.wait_event(1)
        terminal.order("fg")
        poll_until(lambda: self.states([guard]) != ["T"], "fg")
        terminal.type(b"\x03")
        self.end(terminal, -signal.SIGINT, event=2)
        self.assertEqual(self.read_lines("heard"), ["term", "term"])

    @given_time
    def test_timeouts_do_not_run_meanwhile(self):
        terminal = self.open("-j1", "--timeout", f"{self.second}s", "sh", "-c", UNTIL_GO, "sh", ":::", "a")
        self.witness.wait_lines(1)
        terminal.type(b"\x1a")
        terminal.wait_event(1)
        time.sleep(1.3 * self.second)
        terminal.order("fg")
        self.write("go", "")
        self.assertIn("done 1  failed 0  timed out 0", re.sub("\x1b\\[[0-9]*m", "", self.end(terminal, 0, event=2)))

    def test_runaways_stop_as_well(self):
        terminal = self.open("-j1", "sh", "-c", HOLD + 'setsid sh -c \'echo "far $$" >&9; while :; do '
                             "echo x >> \"$D/ticks\"; sleep 0.01; done' & sleep 60", "sh", ":::", "a")
        self.witness.wait_lines(2)
        ticks = lambda: len(self.read_lines("ticks"))
        terminal.type(b"\x1a")
        terminal.wait_event(1)

        def still():  # the state alone does not tell: a shell that waits in vfork() for a stopped child is in D
            before = ticks()
            time.sleep(0.1)
            return ticks() == before
        poll_until(still, "the far one to stop", limit=2)
        before = ticks()
        terminal.order("fg")
        poll_until(lambda: ticks() > before, "the far one to go on")
        terminal.type(b"\x03")
        self.end(terminal, -signal.SIGINT, event=2)


class HangUp(OnTerminal):
    def test_everything_ends(self):
        terminal = self.open("-j2", "sh", "-c", POLITE, "sh", ":::", *"abcd")
        self.witness.wait_lines(2)
        terminal.hang_up()
        self.wait_nothing_lives(5)
        self.assertEqual(self.read_lines("heard"), ["term", "term"])
        self.assertEqual(len(self.witness.lines()), 2)

    def test_even_what_ignores_it(self):
        terminal = self.open("-j2", "--grace", "500ms", "sh", "-c", HOLD + 'trap "" TERM HUP; setsid sleep 60 & '
                             "while :; do sleep 0.05; done", "sh", ":::", *"abcd")
        self.witness.wait_lines(2)
        terminal.hang_up()
        self.wait_nothing_lives(5)


class Tty(OnTerminal):
    def test_an_item_may_ask_and_read(self):
        terminal = self.open("--tty", "sh", "-c", 'printf "name of $1? "; read name; echo "hello $name"', "sh", ":::",
                             "a", "b")
        terminal.wait_screen(b"name of a? ")
        terminal.type(b"bob\n")
        terminal.wait_screen(b"hello bob")
        terminal.wait_screen(b"name of b? ")
        terminal.type(b"eve\n")
        self.assertIn("hello eve", self.end(terminal, 0))

    def test_all_three_streams_are_the_terminal(self):
        terminal = self.open("--tty", "sh", "-c", "test -t 0 && test -t 1 && test -t 2 && tty", ":::", "a")
        self.assertRegex(self.end(terminal, 0), r"/dev/pts/\d+")

    def test_ctrl_c_goes_to_the_item_and_ends_the_run(self):
        terminal = self.open("--tty", "--retries", "3", "sh", "-c", HOLD + "exec sleep 60", "sh", ":::", "a", "b", "c")
        self.witness.wait_lines(1)
        terminal.type(b"\x03")
        self.end(terminal, -signal.SIGINT)
        self.assertEqual(len(self.witness.lines()), 1, "no new items after Ctrl-C, and no new attempt")

    def test_ctrl_c_that_the_item_handles_is_its_own_affair(self):
        terminal = self.open("--tty", "sh", "-c", 'trap "echo no >> $D/heard" INT; ' + HOLD +
                             'while [ ! -e "$D/go" ]; do sleep 0.02; done; echo on', "sh", ":::", "a")
        self.witness.wait_lines(1)
        terminal.type(b"\x03")
        poll_until(lambda: self.read_lines("heard"), "SIGINT to arrive")
        self.write("go", "")
        self.assertIn("on\n", self.end(terminal, 0))

    def test_ctrl_z_and_fg(self):
        terminal = self.open("--tty", "sh", "-c", HOLD + 'read line; echo "got $line"', "sh", ":::", "a")
        item = int(self.witness.wait_lines(1)[0].split()[1])
        poll_until(lambda: stat_of(item)[1] == "S", "the item to wait")
        terminal.type(b"\x1a")
        self.assertEqual(terminal.wait_event(1)[0], "stopped")
        terminal.order("fg")
        poll_until(lambda: stat_of(item)[1] == "S", "the item to go on")
        terminal.type(b"back\n")
        self.assertIn("got back", self.end(terminal, 0, event=2))

    def test_the_terminal_is_restored_after_an_item_that_was_killed_in_raw_mode(self):
        terminal = self.open("--tty", "--timeout", "1s", "--grace", "100ms", "sh", "-c",
                             "stty raw -echo; trap '' TERM; while :; do sleep 0.05; done", ":::", "a")
        self.end(terminal, 1)

    def test_in_the_background_it_takes_the_terminal_from_nobody(self):
        terminal = self.open("--tty", "sh", "-c", 'read line; echo "got $line"', ":::", "a", foreground=False)
        report = terminal.wait_event(1)
        self.assertEqual((report[0], report[2]), ("stopped", "shell"), terminal.screen)
        terminal.order("fg")
        terminal.type(b"now\n")
        self.assertIn("got now", self.end(terminal, 0, event=2))


class TtyIsolated(OnTerminal):
    """--tty and --isolate together: the terminal is lent to a group that has another number inside."""

    ASK = 'printf "ready $1? "; read line; echo "$1 got $line"'

    def may(self):
        return isolation_works(self)

    def test_ctrl_z_and_fg_and_the_next_item_has_the_terminal_too(self):
        terminal = self.open("--tty", *["--isolate"] * self.may(), "sh", "-c", self.ASK, "sh", ":::", "a", "b")
        terminal.wait_screen(b"ready a? ")
        terminal.type(b"\x1a")
        self.assertEqual(terminal.wait_event(1)[0], "stopped")
        terminal.order("fg")
        terminal.type(b"back\n")
        terminal.wait_screen(b"a got back")
        terminal.wait_screen(b"ready b? ")
        terminal.type(b"more\n")
        self.assertIn("b got more", self.end(terminal, 0, event=2))

    def test_bg_takes_the_terminal_from_nobody(self):
        terminal = self.open("--tty", *["--isolate"] * self.may(), "sh", "-c", self.ASK, "sh", ":::", "a")
        terminal.wait_screen(b"ready a? ")
        terminal.type(b"\x1a")
        self.assertEqual(terminal.wait_event(1)[0], "stopped")
        terminal.order("bg")  # it reads, which it may not in the background: it stops again
        report = terminal.wait_event(2)
        self.assertEqual((report[0], report[2]), ("stopped", "shell"), terminal.screen)
        terminal.order("fg")
        terminal.type(b"now\n")
        self.assertIn("a got now", self.end(terminal, 0, event=3))


class Typed(OnTerminal):
    def test_items_typed_at_the_terminal(self):
        terminal = self.open("-j1", "--progress", "none", "echo", "it is")
        terminal.type(b"one\n")
        terminal.wait_screen(b"it is one\r\n")
        terminal.type(b"two\n")
        terminal.wait_screen(b"it is two\r\n")
        terminal.type(b"\x04")
        self.end(terminal, 0)


class Bar(OnTerminal):
    def test_it_shows_how_far_the_run_is_and_goes_away(self):
        terminal = self.open("-j2", "sh", "-c", HOLD + 'case $1 in bad) exit 1;; hold) while [ ! -e "$D/go" ]; do '
                             "sleep 0.01; done;; esac", "sh", ":::", "bad", "x", "y", "hold")
        terminal.wait_screen(b"3 of 4 (75%), 1 failed, 1 running")
        terminal.wait_screen(b": hold")
        self.write("go", "")
        screen = self.end(terminal, 1)
        self.assertRegex(screen, r"\[#+\.+\] 3 of 4")
        # Each repaint starts at the left and clears what it does not cover; the last one is wiped.
        for paint in re.findall(r"\r([^\r\n]*)\x1b\[K", screen):
            self.assertLessEqual(len(paint), 79)
        self.assertRegex(screen, r"\r\x1b\[K(\x1b\[[0-9;]*m|[^\r])*failures")

    def test_output_of_items_never_mixes_with_it(self):
        terminal = self.open("-j1", "sh", "-c", 'echo "line $1"; sleep 0.15', "sh", ":::", *"abcd")
        self.end(terminal, 0)
        self.assertEqual(terminal.shown()[:4], [f"line {item}" for item in "abcd"])

    def test_output_without_a_newline_stays_on_the_screen(self):
        script = 'printf "part $1"; printf "err $1" >&2; [ "$1" = a ] || while [ ! -e "$D/go" ]; do sleep 0.01; done'
        terminal = self.open("-j1", "sh", "-c", script, "sh", ":::", "a", "b")
        terminal.wait_screen(b"1 of 2")  # the bar comes back below it
        self.write("go", "")
        self.end(terminal, 0)
        self.assertEqual(terminal.shown()[:2], ["part aerr a", "part berr b"])
        self.assertTrue(terminal.shown()[2].startswith("slowest"), terminal.shown())

    def test_a_narrow_terminal(self):
        terminal = self.open("-j2", "sh", "-c", UNTIL_GO, "sh", ":::", "a" * 50, "b" * 50, columns=30)
        terminal.wait_screen(b"0 of 2")
        terminal.resize(20)
        time.sleep(0.3)
        self.write("go", "")
        screen = self.end(terminal, 0)
        for paint in re.findall(r"\r([^\r\n]*)\x1b\[K", screen):
            self.assertLessEqual(len(paint), 29)
        summary = screen[screen.index("slowest"):]
        for line in summary.split("\n"):
            if not line.startswith(("summary", "audit")):
                self.assertLessEqual(len(re.sub("\x1b\\[[0-9]*m", "", line)), 20)

    @given_time
    def test_none_and_a_dumb_terminal(self):
        for words, env in ((["--progress", "none"], {}), ([], {"TERM": "dumb"})):
            with self.subTest(words=words, env=env):
                terminal = self.open(*words, "sleep", ":::", "0.3", env=env)
                screen = self.end(terminal, 0)
                self.assertNotIn("\x1b", screen if env else screen[:screen.index("slowest")])
                self.assertNotIn("running", screen)

    def test_colours_only_where_they_are_wanted(self):
        for env, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
            with self.subTest(env):
                terminal = self.open("--progress", "none", "true", ":::", "a", env=env)
                self.assertEqual("\x1b[32mdone 1\x1b[0m" in self.end(terminal, 0), coloured)

    def test_items_cannot_send_commands_to_the_terminal_through_it(self):
        terminal = self.open("-j1", "sh", "-c", HOLD + 'while [ ! -e "$D/go" ]; do sleep 0.01; done', "sh", ":::",
                             "\x1b]0;title\x07\x1b[2Jx")
        terminal.wait_screen(b"0 of 1")
        self.write("go", "")
        screen = self.end(terminal, 0)
        self.assertNotIn("\x07", screen)
        self.assertNotIn("\x1b[2J", screen)


class Plain(Case):
    @given_time
    def test_plain_lines_elsewhere(self):
        run = self.run_map("-j1", "sh", "-c", "sleep 0.3", "sh", ":::", *"abcdefgh", status=0)
        lines = [line for line in run.lines if line.startswith("tenure: ")]
        self.assertTrue(lines, run)
        self.assertLessEqual(len(lines), run.wall + 1)
        for line in lines:
            self.assertRegex(line, r"^tenure: \d+ of 8 \(\d+%\), 1 running, [\d.]+/s, \d+ s left$")

    def test_none(self):
        run = self.run_map("-j1", "--progress", "none", "sleep", ":::", "1.3", status=0)
        self.assertFalse([line for line in run.lines if line.startswith("tenure: ")], run)

    def test_a_bar_where_it_is_asked_for(self):
        run = self.run_map("-j1", "--progress", "bar", "sleep", ":::", "0.3", status=0)
        self.assertIn("\r[", run.text)
        self.assertIn("\r\x1b[K", run.text)
