"""Wrong usage: status 2, one line that names the nearest spelling, and nothing is run."""
import os
import subprocess

from harness import TENURE, Case, as_nobody


class Usage(Case):
    def refuse(self, words, *fragments, command=None, **more):
        run = self.start(command=(command or [TENURE]) + words, **more).finish()
        self.assertEqual(run.status, 2, run)
        self.assertEqual(run.out, b"", run)
        self.assertEqual(len(run.lines), 1, run)
        self.assertTrue(run.text.endswith("\n"), run)
        for fragment in fragments:
            self.assertIn(fragment, run.text)
        self.assertFalse(os.path.exists(self.path("ran")), "something was run")
        self.assert_nothing_lives(run)

    def test_unknown_option_gets_the_nearest_one(self):
        for wrong, right in (("--timout", "--timeout"), ("--job", "--jobs"), ("--retry", "--retries"),
                             ("--dryrun", "--dry-run"), ("--fail_fast", "--fail-fast"), ("--tiemout=5s", "--timeout"),
                             ("-timeout", "--timeout"), ("--JSON", "--json"), ("--result", "--results")):
            with self.subTest(wrong):
                self.refuse(["map", wrong, "touch", "ran", ":::", "1"], "tenure map: unknown option",
                            f"did you mean {right}?")

    def test_option_of_another_tool_gets_ours(self):
        for theirs, ours in (("-P", "--jobs"), ("-a", "--from"), ("-k", "--order input"), ("-I", "{}"),
                             ("--bar", "--progress bar"), ("--halt", "--fail-fast"), ("--joblog", "--results")):
            with self.subTest(theirs):
                self.refuse(["map", theirs, "touch", "ran", ":::", "1"], f"unknown option {theirs}", ours)

    def test_option_nothing_is_near_to(self):
        self.refuse(["map", "--zzzzzzzzz", "touch", "ran"], "unknown option --zzzzzzzzz", "tenure map --help")

    def test_bad_duration_shows_how_to_write_one(self):
        for option in ("--timeout", "--deadline", "--grace"):
            for wrong in ("5x", "5", "", "s", "-1s", "1s2m", "1e3s", "5 s", "abc"):
                with self.subTest(option=option, wrong=wrong):
                    self.refuse(["map", option, wrong, "touch", "ran", ":::", "1"], f"{option} {wrong}:",
                                "not a duration; write 5s, 500ms, 2m30s")

    def test_a_timeout_of_zero_and_of_for_ever(self):
        self.refuse(["map", "--timeout", "0s", "touch", "ran", ":::", "1"], "must be longer than zero")
        self.refuse(["map", "--timeout", "999999999d", "touch", "ran", ":::", "1"], "longer than 100 years")

    def test_no_command(self):
        for words in (["map"], ["map", "-j2"], ["map", ":::", "a"], ["map", "--timeout", "5s", "--"]):
            with self.subTest(words):
                self.refuse(words, "tenure map: no command")
        self.refuse(["map", "", ":::", "a"], "tenure map:", "empty")

    def test_a_script_that_would_read_the_item(self):
        for script, *fragments in (("touch ran; echo $(( {} + 1 ))", "inside ((…))", "$(expr {} + 1)", "(at: "),
                                   ("touch ran; echo \\{}", "after a backslash"),
                                   ("touch ran\ncat <<E\n{}\nE", "here-document", "x={}; "),
                                   ("touch ran; x=\"$(case a in a) echo {};; esac)\"", "case", "(a)"),
                                   ("touch ran; echo '{}", "before what ' began")):
            with self.subTest(script):
                self.refuse(["map", "--shell", script, ":::", "1"], "tenure map: --shell", *fragments)

    def test_no_command_of_tenure(self):
        self.refuse([], "tenure: no command", "tenure --help")
        self.refuse(["mpa", "touch", "ran"], "unknown command mpa", "did you mean map?")
        self.refuse(["gzip", "touch", "ran"], "unknown command gzip", "tenure map gzip")
        self.refuse(["-j2", "touch", "ran"], "unknown option -j2", "tenure map -j2")

    def test_value_missing(self):
        for words in (["--timeout"], ["-j"], ["--from"], ["--results", ":::", "a"]):
            with self.subTest(words):
                self.refuse(["map", *words], "needs a value")

    def test_value_that_is_none_of_the_choices(self):
        for option, wrong, right in (("--order", "inptu", "did you mean input?"), ("--order", "zzz", "input or done"),
                                     ("--progress", "barr", "did you mean bar?"),
                                     ("--progress", "x", "auto, bar, plain or none")):
            with self.subTest(option=option, wrong=wrong):
                self.refuse(["map", option, wrong, "touch", "ran", ":::", "1"], option, right)

    def test_numbers(self):
        for option, wrong in (("-j", "0"), ("-j", "-1"), ("-j", "two"), ("-j", "2x"), ("-j", "99999999999999999999"),
                              ("--retries", "-1"), ("--retries", "1.5"), ("--retries", "")):
            with self.subTest(option=option, wrong=wrong):
                self.refuse(["map", option, wrong, "touch", "ran", ":::", "1"], "not a number of")

    def test_options_that_contradict_each_other(self):
        for words in (["--keep-going", "--fail-fast"], ["--tty", "-j2"], ["--tty", "--results", "r"],
                      ["--json", "--progress", "bar"], ["--json", "--dry-run"], ["--tty", "--json"]):
            with self.subTest(words):
                self.refuse(["map", *words, "touch", "ran", ":::", "1"], words[0])

    def test_two_sources_of_items(self):
        self.write("list", "1\n")
        self.refuse(["map", "--from", "list", "touch", "ran", ":::", "1"], "::: or from --from, not both")
        self.refuse(["map", "touch", "ran", ":::", "1", ":::", "2"], "only one list of items")
        self.refuse(["map", "touch", "ran", "::::", "list"], "--from FILE")

    def test_unreadable_list_of_items(self):
        self.refuse(["map", "--from", "absent", "touch", "ran"], "cannot read items from absent",
                    "No such file or directory")
        self.refuse(["map", "--from", ".", "touch", "ran"], "cannot read items from .", "Is a directory")
        self.refuse(["map", "--from", "bad\nname", "touch", "ran"], "bad\\nname", "No such file")

    def test_list_of_items_that_may_not_be_read(self):
        self.write("secret", "1\n", mode=0)
        user, binary = as_nobody(self)
        self.refuse(["map", "--from", "secret", "touch", "/tmp/ran"], "cannot read items from secret",
                    "Permission denied", command=[binary], **user)

    def test_standard_input_closed(self):
        self.refuse(["map", "touch", "ran"], "cannot read items from standard input", "Bad file descriptor",
                    stdin=None, preexec_fn=lambda: os.close(0))

    def test_standard_input_is_a_directory(self):
        folder = os.open(self.dir, os.O_RDONLY)
        self.addCleanup(os.close, folder)
        self.refuse(["map", "touch", "ran"], "standard input", "Is a directory", stdin=folder)

    def test_results_that_are_no_folder_or_hold_something_else(self):
        self.write("file", "")
        os.mkdir(self.path("mine"))
        self.write("mine/precious", "keep me")
        self.refuse(["map", "--results", "file", "touch", "ran", ":::", "1"], "--results file", "not a folder")
        self.refuse(["map", "--results", "mine", "touch", "ran", ":::", "1"], "--results mine", "hold",
                    "a new or an empty folder")
        self.assertEqual(self.read("mine", "precious"), b"keep me")
        self.assertEqual(os.listdir(self.path("mine")), ["precious"])

    def test_one_line_even_when_the_word_has_several(self):
        self.refuse(["map", "--ti\nme", "touch", "ran", ":::", "1"], "unknown option")
        self.refuse(["map", "--timeout", "5\n5", "touch", "ran", ":::", "1"], "not a duration")
        self.refuse(["ma\np"], "unknown command")


class Help(Case):
    def say(self, *words):
        run = subprocess.run([TENURE, *words], capture_output=True, check=True, cwd=self.dir)
        self.assertEqual(run.stderr, b"")
        return run.stdout.decode()

    def test_help_is_two_screens_at_most_and_has_examples(self):
        text = self.say("map", "--help")
        lines = text.splitlines()
        self.assertLessEqual(len(lines), 48)
        self.assertTrue(all(len(line) <= 80 for line in lines), [line for line in lines if len(line) > 80])
        self.assertIn("Examples", text)
        for option in ("--jobs", "--timeout", "--deadline", "--grace", "--retries", "--order", "--results",
                       "--keep-going", "--fail-fast", "--progress", "--json", "--dry-run", "--help", "--version",
                       "--from", "-0", "--shell", "--isolate", "--tty", "{.}", "{//}", "{/.}", "{#}", "Exit status"):
            self.assertIn(option, text)

    def test_every_example_of_the_help_is_accepted(self):
        examples = [line.strip() for line in self.say("map", "--help").splitlines() if line.startswith("  tenure map")
                    or " | tenure map" in line]
        self.assertGreaterEqual(len(examples), 4)
        self.write("urls.txt", "http://localhost/\n")
        self.write("a.log", "x")
        self.write("b.txt", "y")
        for example in examples:
            with self.subTest(example):
                dry = example.replace("tenure map", f"'{TENURE}' map --dry-run", 1)
                run = subprocess.run(["sh", "-c", dry], capture_output=True, cwd=self.dir)
                self.assertEqual((run.returncode, run.stderr), (0, b""))

    def test_help_wins_over_other_mistakes_and_runs_nothing(self):
        self.assertEqual(self.say("map", "-h"), self.say("map", "--help"))
        self.assertEqual(self.say("help", "map"), self.say("map", "--help"))
        self.assertEqual(self.say("map", "--help", "--timeout", "5x", "touch", "ran"), self.say("map", "--help"))
        self.assertFalse(os.path.exists(self.path("ran")))

    def test_help_of_tenure_names_its_commands(self):
        self.assertIn("map", self.say("--help"))

    def test_version(self):
        self.assertRegex(self.say("--version"), r"\Atenure \d+\.\d+\.\d+\n\Z")
        self.assertEqual(self.say("map", "--version"), self.say("--version"))

    def test_help_that_cannot_be_written_is_an_error(self):
        for words in (["--help"], ["map", "--help"], ["--version"]):
            with self.subTest(words), open("/dev/full", "wb") as full:
                run = subprocess.run([TENURE, *words], stdout=full, stderr=subprocess.PIPE)
                self.assertEqual((run.returncode, run.stderr),
                                 (1, b"tenure: cannot write to standard output: No space left on device\n"))

    def test_help_into_a_closed_pipe_is_quiet(self):
        reader, writer = os.pipe()
        os.close(reader)
        run = subprocess.run([TENURE, "map", "--help"], stdout=writer, stderr=subprocess.PIPE)
        os.close(writer)
        self.assertEqual(run.stderr, b"")
