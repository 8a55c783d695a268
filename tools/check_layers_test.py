#!/usr/bin/env python3
"""Shows that check_layers.py accepts a clean tree and catches each kind of violation."""

import json
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import check_layers  # noqa: E402  (found through the path above)

TABLE = {
    "layers": {
        "base": {"folder": "libs/base", "rank": 0, "sees": [], "packages": []},
        "core": {"folder": "libs/core", "rank": 1, "sees": ["base"], "packages": []},
        "wire": {"folder": "libs/wire", "rank": 1, "sees": ["base"], "packages": []},
        "tenure": {"folder": "libs/tenure", "rank": 5, "sees": ["base", "core"], "packages": []},
    },
    "apps": {"tenure": {"folder": "apps/tenure", "rank": 6, "sees": ["base", "core"], "packages": ["fmt"]}},
    "packages": {
        "fmt": {"includes": ["fmt/"]},
        "gtest": {"includes": ["gtest/"], "tests_only": True},
    },
}


class CheckLayers(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = Path(temporary.name).resolve()
        self.table = json.loads(json.dumps(TABLE))
        for entry in self.table["layers"].values():
            self.write(f"{entry['folder']}/README.md", "purpose\n")
        self.write("libs/base/include/tenure/base/error.hpp", "#pragma once\n#include <string>\n")
        self.write("libs/core/include/tenure/core/task.hpp", "#pragma once\n#include <tenure/base/error.hpp>\n")
        self.write("libs/core/include/tenure/core/detail/frame.hpp", "#pragma once\n")
        self.write("libs/core/src/task.cpp",
                   '#include <tenure/core/detail/frame.hpp>\n#include "private.hpp"\n#include <sys/epoll.h>\n')
        self.write("libs/core/src/private.hpp", "#pragma once\n")
        self.write("libs/core/src/task_test.cpp", "#include <gtest/gtest.h>\n")
        self.write("libs/wire/include/tenure/wire/codec.hpp", "#pragma once\n")
        self.write("apps/tenure/README.md", "purpose\n")
        self.write("apps/tenure/src/main.cpp", "#include <fmt/core.h>\n#include <tenure/core/task.hpp>\n")

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def errors(self):
        self.write("layers.json", json.dumps(self.table))
        return check_layers.Checker(self.root).run()

    def assert_caught(self, *fragments):
        errors = self.errors()
        self.assertEqual(len(errors), 1, errors)
        for fragment in fragments:
            self.assertIn(fragment, errors[0])

    def assert_table_error(self, fragment):
        with self.assertRaises(check_layers.TableError) as raised:
            self.errors()
        self.assertIn(fragment, str(raised.exception))

    def test_clean_tree_passes(self):
        self.assertEqual(self.errors(), [])

    def test_include_of_a_layer_above(self):
        self.write("libs/base/src/a.cpp", "\n#include <tenure/core/task.hpp>\n")
        self.assert_caught("libs/base/src/a.cpp:2:", "of layer core, which it does not see", "allowed: none")

    def test_include_of_a_sibling(self):
        self.write("libs/core/src/a.cpp", "#include <tenure/wire/codec.hpp>\n")
        self.assert_caught("libs/core/src/a.cpp:1:", "of layer wire", "allowed: base")

    def test_include_of_the_facade_from_below(self):
        self.write("libs/core/src/a.cpp", "#include <tenure/tenure.hpp>\n")
        self.assert_caught("of layer tenure, which it does not see")

    def test_include_of_an_unlisted_layer_from_an_app(self):
        self.write("apps/tenure/src/a.cpp", "#include <tenure/wire/codec.hpp>\n")
        self.assert_caught("apps/tenure/src/a.cpp:1:", "of layer wire")

    def test_include_that_climbs(self):
        self.write("libs/core/src/a.cpp", '#include "../../base/src/secret.hpp"\n')
        self.assert_caught("libs/core/src/a.cpp:1:", "leaves its folder")

    def test_include_that_climbs_in_a_test_folder(self):
        self.write("tests/stress/a.cpp", '#include "../../libs/core/src/private.hpp"\n')
        self.assert_caught("tests/stress/a.cpp:1:", "leaves its folder")

    def test_foreign_detail(self):
        self.write("libs/tenure/src/a.cpp", "#include <tenure/core/detail/frame.hpp>\n")
        self.assert_caught("libs/tenure/src/a.cpp:1:", "private to layer core")

    def test_foreign_detail_from_an_app(self):
        self.write("apps/tenure/src/a.cpp", "#include <tenure/core/detail/frame.hpp>\n")
        self.assert_caught("private to layer core")

    def test_detail_in_an_example(self):
        self.write("examples/a.cpp", "#include <tenure/core/detail/frame.hpp>\n")
        self.assert_caught("examples/a.cpp:1:", "an example includes")

    def test_third_party_not_granted(self):
        self.write("libs/core/src/a.cpp", "#include <fmt/core.h>\n")
        self.assert_caught("package fmt", "layers.json does not give it to core")

    def test_test_framework_outside_tests(self):
        self.write("libs/core/src/a.cpp", "#include <gtest/gtest.h>\n")
        self.assert_caught("package gtest", "only tests may include it")

    def test_unknown_third_party(self):
        self.write("libs/core/src/a.cpp", "#include <boost/asio.hpp>\n")
        self.assert_caught("<boost/asio.hpp> of an unknown package")

    def test_own_layer_in_quotes(self):
        self.write("libs/core/src/a.cpp", '#include "tenure/core/task.hpp"\n')
        self.assert_caught("is in quotes", "write <tenure/core/task.hpp>")

    def test_private_header_in_a_public_one(self):
        self.write("libs/core/include/tenure/core/a.hpp", '#pragma once\n#include "private.hpp"\n')
        self.assert_caught("libs/core/include/tenure/core/a.hpp:2:", "public header includes")

    def test_quoted_header_of_nobody(self):
        self.write("libs/core/src/a.cpp", '#include "absent.hpp"\n')
        self.assert_caught('"absent.hpp" is neither beside this file')

    def test_header_without_guard(self):
        self.write("libs/core/src/a.hpp", "int f();\n")
        self.assert_caught("libs/core/src/a.hpp:1:", "#pragma once")

    def test_include_cycle(self):
        self.write("libs/core/include/tenure/core/a.hpp", "#pragma once\n#include <tenure/core/b.hpp>\n")
        self.write("libs/core/include/tenure/core/b.hpp", "#pragma once\n#include <tenure/core/a.hpp>\n")
        self.assert_caught("tenure/core/b.hpp:2:", "include cycle tenure/core/a.hpp -> tenure/core/b.hpp")

    def test_real_sleep_in_a_unit_test(self):
        self.write("libs/core/src/a_test.cpp", "void f() { std::this_thread::sleep_for(1ms); }\n")
        self.assert_caught("libs/core/src/a_test.cpp:1:", "sleeps in real time")

    def test_virtual_sleep_in_a_unit_test_is_fine(self):
        self.write("libs/core/src/a_test.cpp", "co_await tenure::sleep_for(1ms);  // not usleep(1)\n")
        self.assertEqual(self.errors(), [])

    def test_missing_readme(self):
        (self.root / "libs/core/README.md").unlink()
        self.assert_caught("libs/core/README.md:1:", "no README.md")

    def test_missing_readme_of_an_app(self):
        (self.root / "apps/tenure/README.md").unlink()
        self.assert_caught("apps/tenure/README.md:1:", "no README.md")

    def test_long_readme(self):
        self.write("libs/core/README.md", "line\n" * 41)
        self.assert_caught("libs/core/README.md:41:", "41 lines, at most 40")

    def test_readme_of_exactly_forty_lines(self):
        self.write("libs/core/README.md", "line\n" * 40)
        self.assertEqual(self.errors(), [])

    def test_long_file(self):
        self.write("docs/guide.md", "line\n" * 801)
        self.assert_caught("docs/guide.md:801:", "801 lines, at most 800")

    def test_missing_folder(self):
        self.table["layers"]["flow"] = {"folder": "libs/flow", "rank": 4, "sees": [], "packages": []}
        self.assert_caught("libs/flow does not exist")

    def test_table_with_an_upward_arrow(self):
        self.table["layers"]["base"]["sees"] = ["core"]
        self.assert_table_error("a layer sees lower ranks only")

    def test_table_with_siblings(self):
        self.table["layers"]["wire"]["sees"] = ["base", "core"]
        self.assert_table_error("wire (rank 1) sees core (rank 1)")

    def test_table_that_is_not_closed(self):
        self.table["layers"]["tenure"]["sees"] = ["core"]
        self.assert_table_error("tenure sees core and therefore also base")

    def test_table_with_unknown_names(self):
        self.table["layers"]["core"]["sees"] = ["bass"]
        self.assert_table_error("'bass', which is not a layer")
        self.table["layers"]["core"] = dict(TABLE["layers"]["core"], packages=["boost"])
        self.assert_table_error("package 'boost'")

    def test_unreadable_table(self):
        self.write("layers.json", "{")
        with self.assertRaises(check_layers.TableError):
            check_layers.Checker(self.root)


if __name__ == "__main__":
    unittest.main()
