"""The example that counts words and includes: its figures, a file that cannot be read, Ctrl-C in the middle of a long one."""
import glob
import os
import signal
import subprocess
import tempfile
import time
import unittest

PROGRAM = os.path.join(os.environ["EXAMPLES"], "06_words_and_includes")
LIMIT = 30.0  # seconds that nothing here takes unless it hangs
signal.signal(signal.SIGINT, signal.default_int_handler)  # the program must not think that it is to be ignored


@unittest.skipUnless(os.path.exists(PROGRAM), "the examples are not built")
class OnThreads(unittest.TestCase):
    options = []

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def start(self):
        program = subprocess.Popen([PROGRAM, *self.options, self.folder],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(program.kill)  # does nothing once it has been waited for
        return program

    def test_figures(self):
        self.write("a.h", '#include <sub/b.h>\n  #  include "a.h"\n// include <c.h>\nint a = b;')
        self.write("sub/b.h", '#include "c.h"\n#include <nowhere.h>\nint b;\n')
        self.write("sub/c.h", "int c;\n" * 10)
        self.write("empty.h", "")
        program = self.start()
        out, err = program.communicate(timeout=LIMIT)
        self.assertEqual(program.returncode, 0, err)
        self.assertEqual(out.splitlines(), [
            "4 files, 0 unreadable",
            "12 times c", "12 times int", "5 times h", "5 times include", "3 times b",
            f"{self.folder}/a.h brings 2 others"])

    def test_no_files(self):
        program = self.start()
        out, err = program.communicate(timeout=LIMIT)
        self.assertEqual((program.returncode, out), (0, "0 files, 0 unreadable\n"), err)

    def test_no_folder(self):
        self.folder += "/nowhere"
        program = self.start()
        out, err = program.communicate(timeout=LIMIT)
        self.assertEqual((program.returncode, out), (1, ""))
        self.assertIn("nowhere", err)

    def test_file_that_cannot_be_read(self):
        self.write("a.h", "int a;")
        os.symlink("/proc/self/mem", os.path.join(self.folder, "b.h"))  # whoever reads it, it fails
        program = self.start()
        out, err = program.communicate(timeout=LIMIT)
        self.assertEqual(program.returncode, 1, err)
        self.assertIn("1 files, 1 unreadable\n", out)
        self.assertIn(f"{self.folder}/b.h: Input/output error", err)

    def test_ctrl_c(self):
        path = os.path.join(self.folder, "endless.h")
        with open(path, "wb") as file:
            file.truncate(1 << 40)  # nothing but a hole
        program = self.start()
        deadline = time.monotonic() + LIMIT

        def is_it(fd):
            try:
                return os.path.samefile(fd, path)
            except OSError:  # closed meanwhile, or of a process that is not ours
                return False

        def reads_it():  # the program, or a process of it
            return any(is_it(fd) for fd in glob.glob("/proc/[0-9]*/fd/*"))
        while not reads_it():
            self.assertLess(time.monotonic(), deadline)
        program.send_signal(signal.SIGINT)
        out, err = program.communicate(timeout=LIMIT)
        self.assertEqual((program.returncode, out), (130, ""), err)
        self.assertFalse(reads_it())


class InProcesses(OnThreads):
    options = ["--processes"]


if __name__ == "__main__":
    unittest.main()
