"""A pseudo-terminal with a small job-control shell on it, which runs one command and does what it is told."""
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios

from harness import LIMIT, Running, poll_until, with_us
from processes import children, stat_of


def shell(words, events, orders, foreground):
    """The shell's own life: starts the job, then tells of its stops and its end, and obeys `fg` and `bg`."""
    for number in (signal.SIGTTOU, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP):
        signal.signal(number, signal.SIG_IGN)
    own = os.getpgrp()
    modes = termios.tcgetattr(0)
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        if foreground:
            os.tcsetpgrp(0, os.getpgrp())
        for number in (signal.SIGTTOU, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.execv(words[0], words)
    try:
        os.setpgid(job, job)
    except OSError:
        pass  # it did so itself
    inbox = os.fdopen(orders, "r")

    def tell(what, number):
        holder = os.tcgetpgrp(0)
        mine = {own: "shell", job: "job"}.get(holder, "other")
        os.write(events, (json.dumps([what, number, mine, termios.tcgetattr(0)[:4] == modes[:4]]) + "\n").encode())
    while True:
        _, status = os.waitpid(job, os.WUNTRACED)
        if not os.WIFSTOPPED(status):
            tell("ended", os.waitstatus_to_exitcode(status))
            break
        tell("stopped", os.WSTOPSIG(status))
        os.tcsetpgrp(0, own)
        order = inbox.readline().strip()
        if order == "fg":
            os.tcsetpgrp(0, job)
        elif order != "bg":
            break
        os.killpg(job, signal.SIGCONT)
    inbox.readline()  # until the test is through with the terminal


class Terminal(Running):
    """A command on a terminal of its own. `popen` is the shell, the session's leader."""

    def __init__(self, case, *words, env=None, columns=80, rows=24, foreground=True):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.events_read, events = os.pipe()
        orders, self.orders = os.pipe()
        os.set_blocking(self.master, False)
        os.set_blocking(self.events_read, False)

        def on_terminal():
            os.setsid()
            fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        program = f"import terminal; terminal.shell({list(words)!r}, {events}, {orders}, {foreground})"
        super().__init__(case, subprocess.Popen(
            [sys.executable, "-B", "-c", program], stdin=slave, stdout=slave, stderr=slave, cwd=case.dir,
            env=case.environment(PYTHONPATH=os.path.dirname(os.path.abspath(__file__)), **(env or {})),
            pass_fds=(events, orders), preexec_fn=with_us(on_terminal)))
        for fd in (slave, events, orders):
            os.close(fd)
        self.screen = b""
        self.told = b""
        case.running.append(self)
        case.addCleanup(self.close)

    def close(self):
        for name in ("master", "orders", "events_read"):
            if getattr(self, name) is not None:
                os.close(getattr(self, name))
                setattr(self, name, None)

    def look(self):
        """Takes what has been written to the terminal and what the shell has told."""
        for fd, name in ((self.master, "screen"), (self.events_read, "told")):
            while fd is not None:
                try:
                    piece = os.read(fd, 65536)
                except OSError:  # nothing there; or, of the master, nobody has the other end any more
                    break
                if not piece:
                    break
                setattr(self, name, getattr(self, name) + piece)
        return self.screen

    def shown(self):
        """The lines that its user sees, as far back as one can scroll."""
        lines, column = [""], 0
        for piece in re.findall(r"\x1b\[[0-9;]*[A-Za-z]|.", self.look().decode("utf-8", "replace"), re.S):
            if piece == "\r":
                column = 0
            elif piece == "\n":
                lines.append("")  # \\r stands before it
            elif piece == "\x1b[K":
                lines[-1] = lines[-1][:column]
            elif not piece.startswith("\x1b"):
                lines[-1] = lines[-1][:column].ljust(column) + piece + lines[-1][column + 1:]
                column += 1
        return lines

    def type(self, keys):
        os.write(self.master, keys)

    def order(self, word):
        os.write(self.orders, word.encode() + b"\n")

    def wait_screen(self, text, limit=LIMIT):
        return poll_until(lambda: text in self.look() and self.screen,
                          lambda: f"{text!r} on the screen, which has {self.screen!r}", limit)

    def wait_event(self, number, limit=LIMIT):
        """The shell's `number`th report, from 1: [stopped or ended, signal or status, who has the terminal, modes
        are as they were]."""
        def there():
            self.look()
            return self.told.count(b"\n") >= number
        poll_until(there, lambda: f"report {number}, after {self.told!r}; screen {self.screen!r}", limit)
        return json.loads(self.told.split(b"\n")[number - 1])

    def resize(self, columns, rows=24):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def hang_up(self):
        """The terminal's window is closed."""
        os.close(self.master)
        self.master = None

    def leave(self):
        """Ends the shell, which has told of the end of its job."""
        os.close(self.orders)
        self.orders = None
        self.popen.wait(LIMIT)

    def job(self):
        """The pid of the guard."""
        return poll_until(lambda: [pid for pid in children(self.pid) if stat_of(pid) and stat_of(pid)[0] == "tenure"],
                          "the job")[0]
