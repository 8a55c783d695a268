"""The process table, read from /proc."""
import contextlib
import os
import re


def stat_of(pid):
    """(name, state, parent, group, session) of a process, or None."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return None
    name = text[text.index("(") + 1:text.rindex(")")]
    fields = text[text.rindex(")") + 2:].split()
    return name, fields[0], int(fields[1]), int(fields[2]), int(fields[3])


def pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def pids_of(user):
    """The processes of a user."""
    found = []
    for pid in pids():
        with contextlib.suppress(FileNotFoundError):  # it has ended meanwhile
            if os.stat(f"/proc/{pid}").st_uid == user:
                found.append(pid)
    return found


def children(pid):
    found = []
    for other in pids():
        about = stat_of(other)
        if about and about[2] == pid:
            found.append(other)
    return found


def tree(pid):
    """All processes below `pid`, zombies too."""
    parents = {}
    for other in pids():
        about = stat_of(other)
        if about:
            parents.setdefault(about[2], []).append(other)
    found, look_at = [], [pid]
    while look_at:
        below = parents.get(look_at.pop(), [])
        found += below
        look_at += below
    return found


def marked(mark):
    """The processes, not zombies, that have the mark in their environment or their arguments."""
    found = []
    for pid in pids():
        for name in ("environ", "cmdline"):
            try:
                with open(f"/proc/{pid}/{name}", "rb") as file:
                    if mark in file.read() and pid != os.getpid():
                        found.append(pid)
                        break
            except OSError:
                pass
    return found


def describe(some):
    lines = []
    for pid in some:
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                command = file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
        except OSError:
            command = "?"
        lines.append(f"{pid} {stat_of(pid)} {command}")
    return "\n".join(lines)


def status_lines(pid):
    """/proc/PID/status as a dictionary."""
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def memory_kib(some):
    """(sum of the proportional set sizes, largest peak resident set), KiB, of those that still live."""
    total, peak = 0, 0
    for pid in some:
        try:
            with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as file:
                total += int(re.search(r"^Pss: +(\d+) kB", file.read(), re.M).group(1))
            peak = max(peak, int(status_lines(pid)["VmHWM"].split()[0]))
        except (OSError, AttributeError, KeyError):
            pass
    return total, peak


def cgroup_mount():
    """Where cgroup v2 is mounted, or None."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        mounts = [line.split()[4] for line in file if " - cgroup2 " in line]
    return mounts[0] if mounts else None


def own_cgroup():
    """The cgroup v2 folder that this process is in, or None."""
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        own = [line.rstrip("\n")[3:] for line in file if line.startswith("0::")]
    return cgroup_mount() + own[0] if cgroup_mount() and own else None
