"""Items, from wherever they come and whatever they hold, reach the command byte by byte."""
import os
import subprocess

from harness import AUDIT, TENURE, Case, poll_until

SHOW = ("printf", "<%s>")  # one argument after the other, nothing added

# What breaks tools that put items through a shell, or cut them at blanks.
HOSTILE = [b"with space", b"  lead and trail  ", b"tab\there", b"quote'single", b'quote"double', b"back\\slash",
           b"$(touch pwned)", b"`touch pwned`", b"$HOME", b"*", b"a;touch pwned", b"a&b|c>d<e", b"-n", b"--help",
           b"--", b"{", b"}", b"{x}", b"#not", b"~", b"!!", b"%s%n", b"caf\xc3\xa9", b"\xff\xfe latin \xe9",
           b"\x01\x1b[31mred", b"=", b"a=b", b":::x", b"\xe2\x80\xae right to left"]


class Sources(Case):
    def test_list_after_colons(self):
        run = self.run_map("-j1", "echo", ":::", "one", "two", "three", status=0)
        self.assertEqual(run.out, b"one\ntwo\nthree\n")
        self.assertEqual(run.counts, {"done": 3, "failed": 0, "timed out": 0, "retried": 0})

    def test_lines_of_standard_input(self):
        run = self.run_map("-j1", *SHOW, input=b"one\n\ntwo words\r\n\n\nlast without newline", status=0)
        self.assertEqual(run.out, b"<one><two words\r><last without newline>")
        self.assertEqual(run.counts["done"], 3)

    def test_nul_separated_items_may_hold_newlines_and_be_empty(self):
        run = self.run_map("-0", "-j1", *SHOW, input=b"a\nb\0\0c\0", status=0)
        self.assertEqual(run.out, b"<a\nb><><c>")

    def test_from_file(self):
        self.write("list", "x\ny z\n")
        for spelling in (["--from", "list"], ["--from=list"]):
            with self.subTest(spelling):
                self.assertEqual(self.run_map("-j1", *spelling, *SHOW, status=0).out, b"<x><y z>")

    def test_from_file_with_nul(self):
        self.write("list", b"x\ny\0z")
        self.assertEqual(self.run_map("-j1", "-0", "--from", "list", *SHOW, status=0).out, b"<x\ny><z>")

    def test_from_dash_is_standard_input(self):
        self.assertEqual(self.run_map("-j1", "--from", "-", *SHOW, input=b"a\n", status=0).out, b"<a>")

    def test_from_a_fifo_that_is_written_slowly(self):
        os.mkfifo(self.path("fifo"))
        run = self.start("--from", "fifo", "-j1", *SHOW)
        with open(self.path("fifo"), "wb", buffering=0) as fifo:
            for piece in (b"al", b"pha\nbe", b"ta\n"):
                fifo.write(piece)
        result = run.finish()
        self.assertEqual((result.status, result.out), (0, b"<alpha><beta>"), result)

    def test_items_run_while_more_are_still_to_come(self):
        run = self.start("-j2", "sh", "-c", 'echo "$1" >> "$D/log"', "sh", stdin=subprocess.PIPE)
        for n in range(5):
            run.popen.stdin.write(b"%d\n" % n)
            run.popen.stdin.flush()
            poll_until(lambda n=n: len(self.read_lines("log")) == n + 1, f"item {n} to run before the next is written")
        result = run.finish()
        self.assertEqual((result.status, result.counts["done"]), (0, 5), result)

    def test_no_item_is_done_at_once(self):
        self.write("empty", "")
        for words, given in ((["touch", "ran", ":::"], None), (["touch", "ran"], b""), (["touch", "ran"], b"\n\n"),
                             (["-0", "touch", "ran"], b""), (["--from", "empty", "touch", "ran"], None)):
            with self.subTest(words=words, given=given):
                run = self.run_map(*words, input=given, status=0)
                self.assertEqual(run.out, b"")
                self.assertEqual(run.counts, {"done": 0, "failed": 0, "timed out": 0, "retried": 0})
        self.assertFalse(os.path.exists(self.path("ran")))


class Replacement(Case):
    def test_every_replacement_string(self):
        run = self.run_map("-j1", "printf", "%s|", "{}", "{.}", "{/}", "{//}", "{/.}", "{#}", ":::",
                           "dir/sub/name.tar.gz", "plain", "/top", "a.b/c", status=0)
        self.assertEqual(run.out.decode(),
                         "dir/sub/name.tar.gz|dir/sub/name.tar|name.tar.gz|dir/sub|name.tar|1|"
                         "plain|plain|plain|.|plain|2|"
                         "/top|/top|top|/|top|3|"
                         "a.b/c|a.b/c|c|a.b|c|4|")

    def test_inside_words_and_more_than_once(self):
        run = self.run_map("-j1", "printf", "%s|", "<{}{}>", "{#}:{/.}", "{x}", "{", "}{", ":::", "p/q.r", status=0)
        self.assertEqual(run.out, b"<p/q.rp/q.r>|1:q|{x}|{|}{|")

    def test_appended_when_there_is_none(self):
        self.assertEqual(self.run_map("-j1", "printf", "%s|", "a", ":::", "b c", status=0).out, b"a|b c|")

    def test_an_item_that_looks_like_a_replacement_string_is_not_replaced_again(self):
        self.assertEqual(self.run_map("-j1", "printf", "%s|", "{}", ":::", "{#}", "{}", status=0).out, b"{#}|{}|")

    def test_the_command_itself_may_come_from_the_item(self):
        self.assertEqual(self.run_map("-j1", "{}", ":::", "pwd", status=0).out, self.dir.encode() + b"\n")


class Bytes(Case):
    def test_hostile_items_reach_the_command_unchanged(self):
        run = self.run_map("-j1", *SHOW, ":::", *HOSTILE, status=0)
        self.assertEqual(run.out, b"".join(b"<%s>" % item for item in HOSTILE))
        self.assertFalse(os.path.exists(self.path("pwned")))

    def test_hostile_items_by_standard_input(self):
        items = HOSTILE + [b"new\nline", b"\n", b" "]
        run = self.run_map("-0", "-j1", *SHOW, input=b"\0".join(items) + b"\0", status=0)
        self.assertEqual(run.out, b"".join(b"<%s>" % item for item in items))

    def test_hostile_items_are_no_shell_language_with_shell(self):
        items = HOSTILE + [b"new\nline", b"end\n\n"]
        script = "printf '<%s>' {} \"{}\" '{}'; printf '<%s>' x{}y"
        run = self.run_map("-0", "-j1", "--shell", script, input=b"\0".join(items), status=0)
        self.assertEqual(run.out, b"".join(b"<%s>" % i * 3 + b"<x%sy>" % i for i in items))
        self.assertFalse(os.path.exists(self.path("pwned")))

    def test_all_bytes_but_nul(self):
        everything = bytes(range(1, 256))
        run = self.run_map("-0", *SHOW, input=everything, status=0)
        self.assertEqual(run.out, b"<" + everything + b">")

    def test_a_nul_byte_in_a_line_fails_that_item_only(self):
        run = self.run_map("-j1", *SHOW, input=b"good\nba\0d\nalso good\n", status=1)
        self.assertEqual(run.out, b"<good><also good>")
        self.assertEqual((run.counts["done"], run.counts["failed"]), (2, 1), run)
        self.assertIn("NUL byte", run.text)


class Shell(Case):
    def test_a_script_with_a_pipe(self):
        run = self.run_map("-j1", "--shell", "echo {#}: {} | tr a-z A-Z", ":::", "one", "two", status=0)
        self.assertEqual(run.out, b"1: ONE\n2: TWO\n")

    def test_the_item_is_appended(self):
        self.assertEqual(self.run_map("--shell", "echo a;echo b", ":::", "c d", status=0).out, b"a\nb c d\n")

    def test_words_of_the_command_are_one_script(self):
        self.assertEqual(self.run_map("--shell", "echo", "{};", "exit", "3", ":::", "x", status=1).out, b"x\n")

    def test_without_shell_no_word_is_shell_language(self):
        run = self.run_map("-j1", "echo", "$HOME;", "{}", "|", "cat", ":::", "x", status=0)
        self.assertEqual(run.out, b"$HOME; x | cat\n")


class Length(Case):
    ONE = 128 * 1024  # the kernel's limit for one argument, final NUL included

    def test_the_longest_argument_passes(self):
        run = self.run_map("printf", "%s", input=b"x" * (self.ONE - 1), status=0)
        self.assertEqual(len(run.out), self.ONE - 1)

    def test_a_longer_one_fails_alone_and_says_why(self):
        lines = [b"before", b"y" * self.ONE, b"z" * 3_000_000, b"after"]
        run = self.run_map("-j1", *SHOW, input=b"\n".join(lines), status=1)
        self.assertEqual(run.out, b"<before><after>")
        self.assertEqual((run.counts["done"], run.counts["failed"]), (2, 2), run)
        self.assertIn("longer than the system allows for one argument (131071)", run.text)
        self.assertIn("131072 bytes", run.text)
        self.assertIn("3000000 bytes", run.text)
        self.assertIn("(131071); pass it by file (2 items)", run.text)  # in a file nothing is cut

    def test_a_command_line_beyond_arg_max_fails_alone_and_says_why(self):
        many = ["{}"] * 60  # 60 times 120,000 bytes are more than any stack limit allows
        run = self.run_map("-j1", *SHOW, *many, input=b"a\n" + b"b" * 120_000 + b"\nc\n", status=1)
        self.assertEqual(run.out, b"<a>" * 60 + b"<c>" * 60)
        self.assertEqual((run.counts["done"], run.counts["failed"]), (2, 1), run)
        self.assertIn("longer than the system allows for a command line", run.text)

    def test_just_below_arg_max_runs(self):
        # 15 times 120,000 bytes are 1.8 MB; the limit is 2 MB at the usual stack limit of 8 MB.
        run = self.run_map("printf", "%s", *(["{}"] * 15), input=b"b" * 120_000, status=0)
        self.assertEqual(len(run.out), 15 * 120_000)


class Command(Case):
    def test_options_end_at_the_command(self):
        self.assertEqual(self.run_map("-j1", "echo", "-j7", "--json", ":::", "x", status=0).out, b"-j7 --json x\n")

    def test_double_dash_ends_options(self):
        self.write("-odd", "#!/bin/sh\necho odd $1\n", 0o755)
        run = self.run_map("--", "-odd", ":::", "x", status=0, env=self.environment(PATH=self.dir + ":/usr/bin:/bin"))
        self.assertEqual(run.out, b"odd x\n")

    def test_no_command_reads_tenures_own_input(self):
        # `cat` gets /dev/null: it must not eat the list of items.
        run = self.run_map("-j1", "sh", "-c", 'cat; echo "$1"', "sh", input=b"one\ntwo\nthree\n", status=0)
        self.assertEqual(run.out, b"one\ntwo\nthree\n")

    def test_a_run_inside_a_run(self):
        run = self.run_map("-j2", "sh", "-c", '"$T" map -j2 echo "$1" ::: x y', "sh", ":::", "a", "b", status=0)
        self.assertEqual(sorted(run.out.split(b"\n")), [b"", b"a x", b"a y", b"b x", b"b y"])

    def test_the_audit_line_ends_every_run(self):
        run = subprocess.run([TENURE, "map", "true", ":::", "1"], capture_output=True, check=True)
        self.assertTrue(run.stderr.decode().endswith("\n" + AUDIT + "\n"), run.stderr)
