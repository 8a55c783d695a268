"""What an item finds when it starts: clean descriptors, signals, group; the user's folder, variables and limits."""
import ctypes
import os
import resource
import signal
import subprocess
import time

from harness import Case, given_time, isolation_works, limit_to, poll_until
from processes import children, cgroup_mount, stat_of, tree


def hexadecimal(text):
    return int(text, 16)


class Environment(Case):
    def status(self, *words, **more):
        """/proc/self/status of an item, as a dictionary."""
        run = self.run_map("-j1", *words, "cat", "{}", ":::", "/proc/self/status", status=0, **more)
        return dict(line.split(":\t", 1) for line in run.out.decode().splitlines())

    def test_only_three_descriptors_are_open(self):
        extra = [os.open("/dev/null", os.O_RDONLY) for _ in range(5)] + [os.dup2(0, 200)]
        self.addCleanup(lambda: [os.close(fd) for fd in extra])
        for words in ([], ["--results", "r"], ["--json"], ["--isolate"]):
            with self.subTest(words):
                run = self.start("-j2", *words, "sleep", "60", pass_fds=extra, stdin=subprocess.PIPE)
                run.popen.stdin.write(b"0\n0\n")
                run.popen.stdin.flush()
                if words == ["--isolate"] and not isolation_works(self):
                    self.assertRegex(self.stop(run).text, "namespace")
                    continue
                for item in poll_until(lambda: (found := self.items(run)) and len(found) == 2 and found, "2 items"):
                    # A program that is starting opens its libraries and locales; what was handed to it stays open.
                    links = {}
                    poll_until(lambda: links.clear() or links.update(self.links(item)) or sorted(links) == ["0", "1", "2"],
                               lambda: f"three descriptors, there are {links}")
                    self.assertEqual(links["0"], "/dev/null")
                    self.assertTrue(links["1"].startswith("pipe:") and links["2"].startswith("pipe:"), links)
                self.stop(run)

    def links(self, pid):
        """What its descriptors refer to; nothing if one of them is closed at that moment."""
        try:
            return {n: os.readlink(f"/proc/{pid}/fd/{n}") for n in os.listdir(f"/proc/{pid}/fd")}
        except FileNotFoundError:
            return {}

    def items(self, run):
        return [pid for pid in tree(run.pid) if (stat_of(pid) or [""])[0] == "sleep"]

    def stop(self, run):
        run.signal(signal.SIGTERM)
        result = run.finish()
        self.assert_clean(result)
        return result

    def test_standard_input_is_dev_null(self):
        run = self.run_map("readlink", ":::", "/proc/self/fd/0", status=0)
        self.assertEqual(run.out, b"/dev/null\n")

    def test_no_signal_is_blocked_or_ignored(self):
        some = {signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGPIPE, signal.SIGCHLD, signal.SIGTERM,
                signal.SIGUSR1, signal.SIGTSTP, signal.SIGXFSZ, signal.SIGTTOU, signal.SIGALRM}

        def spoil():
            for number in some:
                signal.signal(number, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_BLOCK, some)
        for words in ([], ["--isolate"]):
            for preexec in (None, spoil):
                with self.subTest(words=words, spoilt=preexec is not None):
                    status = self.status(*words, preexec_fn=preexec, restore_signals=False)
                    for name in ("SigBlk", "SigIgn", "SigCgt", "SigPnd", "ShdPnd"):
                        self.assertEqual(hexadecimal(status[name]), 0, name)

    def test_a_process_group_of_its_own(self):
        run = self.run_map("-j2", "sh", "-c", 'cut -d" " -f1,5 /proc/$$/stat', ":::", "a", "b", status=0)
        groups = set()
        for line in run.out.decode().splitlines():
            pid, group = line.split()
            self.assertEqual(pid, group)
            groups.add(group)
        self.assertEqual(len(groups), 2)

    def test_the_users_folder_variables_mask_and_limits(self):
        os.mkdir(self.path("here"))
        run = self.run_map("-j1", "sh", "-c", 'pwd -P; echo "$HELLO"; umask; ulimit -Sn; ulimit -Ss; nice', ":::", "x",
                           status=0, cwd=self.path("here"), env=self.environment(HELLO="hello world"),
                           preexec_fn=lambda: (os.umask(0o027), os.nice(3),
                                               limit_to(resource.RLIMIT_NOFILE, 321)(),
                                               resource.setrlimit(resource.RLIMIT_STACK,
                                                                  (4 << 20, resource.getrlimit(
                                                                      resource.RLIMIT_STACK)[1]))))
        nice = os.nice(0) + 3
        self.assertEqual(run.out.decode().splitlines(),
                         [os.path.realpath(self.path("here")), "hello world", "0027", "321", "4096", str(nice)])

    @given_time
    def test_control_groups_that_items_make_are_removed_with_theirs(self):
        own = self.run_map("sed", "-n", "s/^0:://p", ":::", "/proc/self/cgroup", status=0).out.decode().strip()
        if "/tenure-" not in own:
            self.skipTest("no control groups can be made here")
        make = 'd="$MOUNT$(sed -n s/^0:://p /proc/self/cgroup)/mine/deeper"; mkdir -p "$d" && echo "$d"; '
        for then, status, words in (('echo $$ > "$d/cgroup.procs"', 0, []),
                                    ('trap "" TERM; sleep 60', 1, ["--timeout", f"{0.4 * self.second * 1000:.0f}ms"])):
            result = self.run_map("-j1", *words, "--grace", "100ms", "sh", "-c", make + then, "sh", ":::", "1", "2", "3",
                                  env=self.environment(MOUNT=cgroup_mount()), status=status)
            self.assertEqual(result.out.count(b"/mine/deeper\n"), 3, result)

    def test_no_variable_of_ours_is_added(self):
        run = self.run_map("-j1", "env", "-0", "--", ":::", "A=1", status=0)
        theirs = dict(pair.split(b"=", 1) for pair in run.out.split(b"\0") if pair)
        theirs.pop(b"A")
        wanted = {name.encode(): value.encode() for name, value in self.environment().items()}
        self.assertEqual(theirs, wanted)

    def test_the_name_of_the_program_is_as_written(self):
        run = self.run_map("sh", "-c", 'tr "\\0" "|" < /proc/$$/cmdline', "sh", "{}", ":::", "a b", status=0)
        self.assertTrue(run.out.startswith(b"sh|-c|"), run.out)
        self.assertTrue(run.out.endswith(b"|sh|a b|"), run.out)

    def test_core_parts_of_an_items_status_are_not_special(self):
        status = self.status()
        self.assertEqual(status["NoNewPrivs"], "0")
        self.assertEqual(status["Seccomp"], "0")
        self.assertEqual(status["Threads"], "1")


class Isolated(Case):
    """--isolate: a PID namespace, where there may be one; else the reason."""

    def test_the_item_is_in_a_namespace_of_its_own_or_says_why_not(self):
        run = self.run_map("-j2", "--isolate", "sh", "-c", 'readlink /proc/self/ns/pid; ls -d /proc/[0-9]* | wc -l',
                           "sh", ":::", "a", "b")
        if run.status != 0:  # not allowed here: told once, with the reason
            self.assertEqual(run.status, 1, run)
            self.assertRegex(run.text, r"namespace.*\(2 items\)")
            return
        lines = run.out.decode().splitlines()
        outside = os.readlink("/proc/self/ns/pid")
        self.assertEqual(len({lines[0], lines[2], outside}), 3, run)
        self.assertLess(int(lines[1]), 8)  # its /proc shows its own processes only

    def test_status_output_and_bytes_are_as_without(self):
        run = self.run_map("-j1", "--isolate", "sh", "-c", 'printf "<%s>" "$1"; exit "$2"', "sh", "{}", "{#}", ":::",
                           "a b", "c\nd", status=1)
        if "namespace" in run.text:
            return
        self.assertEqual(run.out, b"<a b><c\nd>")
        self.assertIn("exit status 1 (1 item)", run.text)
        self.assertIn("exit status 2 (1 item)", run.text)

    def test_a_command_that_is_not_found(self):
        run = self.run_map("--isolate", "no-such-command-here", ":::", "a", status=1)
        self.assertRegex(run.text, "command not found: no-such-command-here|namespace")

    def test_the_users_files_belong_to_the_user(self):
        run = self.run_map("--isolate", "sh", "-c", 'touch "$D/mine"; id -u', ":::", "a")
        if run.status == 0:
            self.assertEqual(os.stat(self.path("mine")).st_uid, os.getuid())
            self.assertEqual(run.out.decode().strip(), str(os.geteuid()))
        else:
            self.assertIn("namespace", run.text)

    def test_while_a_namespace_is_taken_down_nobody_spins(self):
        seize = 0x4206
        libc = ctypes.CDLL(None, use_errno=True)
        run = self.start("-j1", *["--isolate"] * isolation_works(self), "sh", "-c",
                         'exec 9>"$WITNESS"; echo here >&9; exec sleep 60', ":::", "a")
        self.witness.wait_lines(1)
        warden = run.wardens()[0]
        init = children(warden)[0]
        item = (children(init) or [init])[0]
        # A debugger holds the item: killed, it stays, and init cannot end before.
        libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
        self.assertEqual(libc.ptrace(seize, item, None, None), 0, os.strerror(ctypes.get_errno()))
        os.kill(init, signal.SIGKILL)
        poll_until(lambda: stat_of(item)[1] == "Z", "the end of the item")

        def ticks():
            with open(f"/proc/{warden}/stat", "rb") as file:
                return sum(int(field) for field in file.read().rsplit(b")")[1].split()[11:13])
        before = ticks()
        time.sleep(0.5)
        self.assertLess(ticks() - before, 5)
        os.waitpid(item, 0x40000000)  # __WALL: the debugger lets go
        result = run.finish()
        self.assertEqual(result.status, 1, result)
        self.assert_clean(result)
