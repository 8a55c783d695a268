#!/usr/bin/env python3
"""Shows that conformance.py finds the tests of a row, and that a row without one stands out."""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import conformance  # noqa: E402  (found through the path above)

ROWS = "# words\n== Birth\n1 It begins.\n2 It goes on.\n== Death\n3 It ends.\n"


class Conformance(unittest.TestCase):
    def setUp(self):
        self.sections = conformance.read_rows(ROWS)

    def test_finds_every_kind_of_test(self):
        found = conformance.find_tests({
            "a/a_test.cpp": "TEST(Life, R001_Begins) {}\n  TEST_F(Life,\n         R003_Ends) {}\nTEST_P(Life, R003_Dies) {}",
            "b/test_b.py": "    def test_r002_goes_on(self):\n    def test_other(self):",
            "tests/compile_fail/ends_twice.cpp": "// R003: refused\n",
            "c/c.cpp": "// R002: a comment elsewhere shows nothing\n// TEST(Life, R002_InAComment)",
        })
        self.assertEqual(found, {
            1: [("Life.R001_Begins", "a/a_test.cpp")],
            2: [("test_r002_goes_on", "b/test_b.py")],
            3: [("Life.R003_Dies", "a/a_test.cpp"), ("Life.R003_Ends", "a/a_test.cpp"),
                ("ends_twice", "tests/compile_fail/ends_twice.cpp")],
        })

    def test_row_without_a_test_stands_out_and_is_counted(self):
        text = conformance.page(self.sections, {1: [("Life.R001_Begins", "a/a_test.cpp")]})
        self.assertIn("1 of 3 rows have a test. **Without one: 2, 3.**", text)
        self.assertIn("| 1 | It begins. | [a_test.cpp](../../a/a_test.cpp): `Life.R001_Begins` |", text)
        self.assertIn("| 3 | It ends. | **no test yet** |", text)

    def test_test_of_an_unknown_row_is_refused(self):
        with self.assertRaisesRegex(ValueError, "R009_Nothing names row 9"):
            conformance.page(self.sections, {9: [("Life.R009_Nothing", "a/a_test.cpp")]})

    def test_rows_out_of_order_are_refused(self):
        with self.assertRaisesRegex(ValueError, "not numbered"):
            conformance.read_rows("== Birth\n1 It begins.\n3 It ends.\n")


if __name__ == "__main__":
    unittest.main()
