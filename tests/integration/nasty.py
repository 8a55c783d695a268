"""Commands that do not want to end: nasty.py KIND. Used as items by the tests.

Every process holds the witness open and, once it is what it wants to be, writes "KIND PID" into it.
None of them lives longer than LIFE seconds, so that even a broken tenure leaves nothing for ever.
"""
import ctypes
import os
import signal
import sys
import time

LIFE = 60
libc = ctypes.CDLL(None)
kind = sys.argv[1]
born = time.monotonic()
announce = None  # of a daemon: tells the item that it is ready
witness = os.open(os.environ["WITNESS"], os.O_WRONLY)
os.set_inheritable(witness, True)


def ready():
    os.write(witness, f"{kind} {os.getpid()}\n".encode())
    if announce is not None:
        os.write(announce, b".")


def stay():
    ready()
    while time.monotonic() - born < LIFE:
        time.sleep(1)
    os._exit(0)


def stay_without_environment():
    ready()
    os.execve("/bin/sleep", ["sleep", str(LIFE)], {})


def daemon(then):
    """Twice forked and in a session of its own; nobody waits for its end."""
    global announce
    listen, announce = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            then()
        os._exit(0)
    os.wait()
    os.read(listen, 1)
    os.close(announce)
    announce = None


def ignore_term():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)


def plain():
    if os.fork() == 0:
        stay()
    stay()


def setsid():
    if os.fork() == 0:
        os.setsid()
        stay()
    stay()


def double_fork():
    daemon(stay)
    stay()


def env_i():
    daemon(stay_without_environment)
    stay()


def daemon_alone():
    daemon(stay)


def env_i_daemon_alone():
    daemon(stay_without_environment)


def bomb():
    for n in range(200):
        if os.fork() == 0:
            if n % 3 == 0:
                os.setsid()
            if n % 2 == 0 and os.fork() != 0:
                os._exit(0)
            stay()
    stay()


def ignores_term():
    ignore_term()
    if os.fork() == 0:
        os.setsid()
        stay()
    stay()


def stopped():
    if os.fork() == 0:
        os.setsid()
        ready()
        os.kill(os.getpid(), signal.SIGSTOP)
        stay()
    ready()
    os.kill(os.getpid(), signal.SIGSTOP)
    stay()


def zombies():
    for _ in range(20):
        if os.fork() == 0:
            os._exit(0)
    if os.fork() == 0:
        ignore_term()
        for _ in range(20):
            if os.fork() == 0:
                os._exit(0)
        stay()
    stay()


def subreaper():
    libc.prctl(36, 1, 0, 0, 0)
    ignore_term()
    daemon(stay)
    stay()


def hopper():
    """Forks and exits, over and over: no pid of it lives long enough to be signalled."""
    ignore_term()
    if os.fork() == 0:
        os.setsid()
        ready()
        while time.monotonic() - born < LIFE:
            for _ in range(100):
                if libc.fork() != 0:
                    libc._exit(0)
        os._exit(0)
    stay()


KINDS = {name: what for name, what in list(globals().items()) if callable(what) and name in (
    "plain", "setsid", "double_fork", "env_i", "daemon_alone", "env_i_daemon_alone", "bomb", "ignores_term",
    "stopped", "zombies", "subreaper", "hopper")}

if __name__ == "__main__":
    KINDS[kind]()
