#include "cli/help.hpp"
#include "cli/options.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <sstream>

namespace tenure::inline v0::app {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

parsed parse_words(std::vector<const char*> words) {
    return parse(static_cast<int>(words.size()), words.data(), 8);
}

parsed parse_map(std::initializer_list<const char*> arguments) {
    std::vector<const char*> words{"tenure", "map"};
    words.insert(words.end(), arguments);
    return parse_words(words);
}

map_options options(std::initializer_list<const char*> arguments) {
    auto result = parse_map(arguments);
    if (auto* e = std::get_if<exit_with>(&result)) {
        ADD_FAILURE() << e->err;
        return {};
    }
    return std::get<run_map>(result).options;
}

// The one line of a usage error.
std::string usage(const parsed& result) {
    auto* e = std::get_if<exit_with>(&result);
    if (!e) {
        ADD_FAILURE() << "was accepted";
        return {};
    }
    EXPECT_EQ(e->status, 2);
    EXPECT_EQ(e->out, "");
    EXPECT_TRUE(e->err.ends_with("\n"));
    EXPECT_EQ(std::count(e->err.begin(), e->err.end(), '\n'), 1) << e->err;
    return e->err.substr(0, e->err.size() - 1);
}

std::string error(std::initializer_list<const char*> arguments) { return usage(parse_map(arguments)); }

TEST(Options, Defaults) {
    auto o = options({"true"});
    EXPECT_THAT(o.command, ElementsAre("true"));
    EXPECT_EQ(o.origin, item_origin::standard_input);
    EXPECT_EQ(o.jobs, 8U);
    EXPECT_FALSE(o.timeout);
    EXPECT_FALSE(o.deadline);
    EXPECT_EQ(o.grace, 5s);
    EXPECT_EQ(o.retries, 0U);
    EXPECT_EQ(o.order, item_order::done);
    EXPECT_FALSE(o.results);
    EXPECT_FALSE(o.fail_fast);
    EXPECT_EQ(o.progress, progress_style::automatic);
    EXPECT_FALSE(o.json || o.dry_run || o.shell || o.isolate || o.tty || o.nul_separated);
}

TEST(Options, EveryOptionIsRead) {
    auto o = options({"--jobs",    "3",         "--timeout",   "30s",        "--deadline", "1.5h",
                      "--grace",   "500ms",     "--retries",   "2",          "--order",    "input",
                      "--results", "out",       "--fail-fast", "--progress", "plain",      "--json",
                      "--shell",   "--isolate", "--from",      "list",       "--null",     "cmd"});
    EXPECT_EQ(o.jobs, 3U);
    EXPECT_EQ(o.timeout, 30s);
    EXPECT_EQ(o.deadline, 90min);
    EXPECT_EQ(o.grace, 500ms);
    EXPECT_EQ(o.retries, 2U);
    EXPECT_EQ(o.order, item_order::input);
    EXPECT_EQ(o.results, "out");
    EXPECT_TRUE(o.fail_fast);
    EXPECT_EQ(o.progress, progress_style::plain);
    EXPECT_TRUE(o.json);
    EXPECT_TRUE(o.shell);
    EXPECT_TRUE(o.isolate);
    EXPECT_EQ(o.origin, item_origin::file);
    EXPECT_EQ(o.from, "list");
    EXPECT_TRUE(o.nul_separated);
    EXPECT_TRUE(options({"--dry-run", "cmd"}).dry_run);
    EXPECT_FALSE(options({"--keep-going", "cmd"}).fail_fast);
}

TEST(Options, EverySpellingOfAValue) {
    EXPECT_EQ(options({"-j2", "true"}).jobs, 2U);
    EXPECT_EQ(options({"-j", "2", "true"}).jobs, 2U);
    EXPECT_EQ(options({"--jobs=2", "true"}).jobs, 2U);
    EXPECT_EQ(options({"--results=a=b", "true"}).results, "a=b");
    EXPECT_EQ(options({"--results", "-x", "true"}).results, "-x");
    EXPECT_EQ(options({"--results", "[a,b]", "true"}).results, "[a,b]");
    EXPECT_EQ(options({"--results", "\"q\"", "true"}).results, "\"q\"");
    EXPECT_EQ(options({"-j2", "-j", "5", "true"}).jobs, 5U) << "the last one counts";
    auto o = options({"-0j3", "true"});
    EXPECT_TRUE(o.nul_separated);
    EXPECT_EQ(o.jobs, 3U);
}

TEST(Options, EndAtTheFirstWordOfTheCommand) {
    auto o = options({"-j2", "grep", "-r", "--json", "-j9", "foo", "--", "x"});
    EXPECT_EQ(o.jobs, 2U);
    EXPECT_FALSE(o.json);
    EXPECT_THAT(o.command, ElementsAre("grep", "-r", "--json", "-j9", "foo", "--", "x"));
}

TEST(Options, EndAtTwoDashes) {
    EXPECT_THAT(options({"-j2", "--", "-odd", "-j3"}).command, ElementsAre("-odd", "-j3"));
    EXPECT_THAT(options({"-"}).command, ElementsAre("-"));
}

TEST(Options, ThreeColonsBeginTheItems) {
    auto o = options({"echo", "-n", ":::", "a", "-j3", "--", "", "x y"});
    EXPECT_THAT(o.command, ElementsAre("echo", "-n"));
    EXPECT_EQ(o.origin, item_origin::list);
    EXPECT_THAT(o.items, ElementsAre("a", "-j3", "--", "", "x y"));
}

TEST(Options, AnEmptyListIsAList) {
    auto o = options({"echo", ":::"});
    EXPECT_EQ(o.origin, item_origin::list);
    EXPECT_TRUE(o.items.empty());
}

TEST(Options, BytesThatAreNotUtf8PassThrough) {
    auto o = options({"--results", "\xff\xfe", "\x80", ":::", "\xc3", "a\nb"});
    EXPECT_EQ(o.results, "\xff\xfe");
    EXPECT_THAT(o.command, ElementsAre("\x80"));
    EXPECT_THAT(o.items, ElementsAre("\xc3", "a\nb"));
}

TEST(Options, ItemsFromAFileOrStandardInput) {
    EXPECT_EQ(options({"--from", "-", "true"}).origin, item_origin::standard_input);
    EXPECT_THAT(error({"--from", "x", "true", ":::", "a"}), HasSubstr("from ::: or from --from, not both"));
}

TEST(Options, TtyMeansOneJob) {
    EXPECT_EQ(options({"--tty", "vi", ":::", "a"}).jobs, 1U);
    EXPECT_EQ(options({"--tty", "-j1", "--from", "list", "vi"}).jobs, 1U);
}

TEST(Options, EventsGoWithPlainProgress) {
    EXPECT_EQ(options({"--json", "true"}).progress, progress_style::plain);
    EXPECT_EQ(options({"--json", "--progress", "none", "true"}).progress, progress_style::none);
}

TEST(OptionErrors, NoCommand) {
    EXPECT_EQ(error({}), "tenure map: no command; write for example: tenure map gzip -k ::: *.log");
    EXPECT_THAT(error({"-j2"}), HasSubstr("no command"));
    EXPECT_THAT(error({":::", "a"}), HasSubstr("no command"));
    EXPECT_THAT(error({"--"}), HasSubstr("no command"));
    EXPECT_THAT(error({"", "x"}), HasSubstr("command is empty"));
    EXPECT_THAT(usage(parse_words({"tenure"})), HasSubstr("no command"));
    EXPECT_THAT(usage(parse_words({})), HasSubstr("no command"));
}

TEST(OptionErrors, UnknownOptionNamesTheNearest) {
    EXPECT_EQ(error({"--timout", "5s", "true"}),
              "tenure map: unknown option --timout; did you mean --timeout?");
    EXPECT_THAT(error({"--timout=5s", "true"}),
                HasSubstr("unknown option --timout; did you mean --timeout?"));
    EXPECT_THAT(error({"-timeout", "5s", "true"}),
                HasSubstr("unknown option -timeout; did you mean --timeout?"));
    EXPECT_THAT(error({"--job", "2", "true"}), HasSubstr("did you mean --jobs?"));
    EXPECT_THAT(error({"--keepgoing", "true"}), HasSubstr("did you mean --keep-going?"));
    EXPECT_THAT(error({"--colour", "true"}), HasSubstr("unknown option --colour; see tenure map --help"));
    EXPECT_THAT(error({"-z", "true"}), HasSubstr("unknown option -z; see"));
    EXPECT_THAT(error({"-0z", "true"}), HasSubstr("unknown option -z; see"));
    EXPECT_THAT(error({"--=x", "true"}), HasSubstr("unknown option --; see"));
}

TEST(OptionErrors, WhatOthersSpellDifferentlyIsNamed) {
    EXPECT_THAT(error({"-P4", "true"}), HasSubstr("unknown option -P; write --jobs"));
    EXPECT_THAT(error({"-k", "true"}), HasSubstr("write --order input"));
    EXPECT_THAT(error({"-n1", "true"}), HasSubstr("every command gets one item"));
    EXPECT_THAT(error({"--joblog", "x", "true"}), HasSubstr("write --results DIR"));
    EXPECT_THAT(error({"gzip", "::::", "list"}), HasSubstr("write --from FILE"));
    EXPECT_THAT(error({"gzip", ":::", "a", ":::", "b"}), HasSubstr("only one list"));
}

TEST(OptionErrors, WhatIsNotNeededOrIsOtherwiseSaysWhatToDo) {
    EXPECT_EQ(error({"-n1", "true"}),
              "tenure map: unknown option -n; leave it out: every command gets one item");
    EXPECT_THAT(error({"-t", "true"}), HasSubstr("run none, or --json"));
    EXPECT_THAT(error({"--tag", "true"}), HasSubstr("--json"));
    EXPECT_THAT(error({"--resume", "true"}), HasSubstr("--retries N"));
    EXPECT_THAT(error({"-o", "true"}), HasSubstr("write --tty"));
    EXPECT_THAT(error({"-d", ",", "true"}), HasSubstr("write -0"));
    // Every option that the table for users of xargs and GNU parallel names, and others that they know.
    for (const char* theirs : {"-a",
                               "-C",
                               "-d",
                               "--delimiter",
                               "-I",
                               "-i",
                               "-k",
                               "-L",
                               "-l",
                               "-m",
                               "-N",
                               "-n",
                               "-o",
                               "--open-tty",
                               "-P",
                               "-p",
                               "-q",
                               "-r",
                               "-S",
                               "-s",
                               "-t",
                               "-u",
                               "-v",
                               "-X",
                               "-x",
                               "-E",
                               "-e",
                               "--eof",
                               "--bar",
                               "--colsep",
                               "--eta",
                               "--files",
                               "--group",
                               "--halt",
                               "--joblog",
                               "--lb",
                               "--load",
                               "--max-chars",
                               "--pipe",
                               "--interactive",
                               "--replace",
                               "--tag",
                               "--line-buffer",
                               "--max-lines",
                               "--tagstring",
                               "--shuf",
                               "--workdir",
                               "--resume-failed"}) {
        EXPECT_THAT(error({theirs, "true"}), Not(HasSubstr("see tenure map --help"))) << theirs;
        EXPECT_THAT(error({theirs, "true"}), Not(HasSubstr("did you mean"))) << theirs;
    }
}

TEST(OptionErrors, NumberOfJobs) {
    EXPECT_EQ(error({"-j", "0", "true"}), "tenure map: --jobs 0: not a number of jobs; write 1 to 4096");
    for (const char* bad : {"", "-3", "+2", "2x", "200%", "4097", "99999999999999", "1.5", " 2"})
        EXPECT_THAT(error({"--jobs", bad, "true"}), HasSubstr("not a number of jobs"));
    EXPECT_EQ(options({"-j4096", "true"}).jobs, 4096U);
}

TEST(OptionErrors, Durations) {
    EXPECT_EQ(error({"--timeout", "5x", "true"}),
              "tenure map: --timeout 5x: not a duration; write 5s, 500ms, 2m30s");
    EXPECT_THAT(error({"--deadline", "5", "true"}), HasSubstr("--deadline 5: not a duration"));
    EXPECT_THAT(error({"--timeout", "0s", "true"}), HasSubstr("must be longer than zero"));
    EXPECT_THAT(error({"--deadline=0s", "true"}), HasSubstr("must be longer than zero"));
    EXPECT_EQ(options({"--grace", "0s", "true"}).grace, 0s);
    EXPECT_THAT(error({"--grace", "", "true"}), HasSubstr("--grace : not a duration"));
}

TEST(OptionErrors, Choices) {
    EXPECT_EQ(error({"--order", "inptu", "true"}),
              "tenure map: --order inptu: did you mean input? (input or done)");
    EXPECT_THAT(error({"--order", "random", "true"}), HasSubstr("--order random: write input or done"));
    EXPECT_THAT(error({"--progress", "fancy", "true"}), HasSubstr("write auto, bar, plain or none"));
    EXPECT_THAT(error({"--retries", "-1", "true"}), HasSubstr("not a number of retries"));
    EXPECT_THAT(error({"--results", "", "true"}), HasSubstr("needs the name of a folder"));
}

TEST(OptionErrors, MissingAndSuperfluousValues) {
    EXPECT_THAT(error({"--timeout"}), HasSubstr("--timeout needs a value"));
    EXPECT_THAT(error({"-j"}), HasSubstr("--jobs needs a value"));
    EXPECT_THAT(error({"-j", ":::", "a"}), HasSubstr("--jobs needs a value"));
    EXPECT_THAT(error({"--json=1", "true"}), HasSubstr("--json takes no value"));
}

TEST(OptionErrors, ContradictionsSayHowToMend) {
    EXPECT_THAT(error({"--tty", "-j2", "vi"}), HasSubstr("write -j1"));
    EXPECT_THAT(error({"--tty", "--results", "d", "vi"}), HasSubstr("leave out --results"));
    EXPECT_THAT(error({"--tty", "--json", "vi"}), HasSubstr("leave out --json"));
    EXPECT_THAT(error({"--tty", "--progress", "bar", "vi"}), HasSubstr("leave out --progress"));
    EXPECT_THAT(error({"--tty", "vi"}), HasSubstr("give the items after ::: or with --from"));
    EXPECT_THAT(error({"--tty", "--from", "-", "vi"}), HasSubstr("give the items after ::: or with --from"));
    EXPECT_THAT(error({"--keep-going", "--fail-fast", "x"}), HasSubstr("leave one out"));
    EXPECT_THAT(error({"--json", "--progress", "bar", "x"}), HasSubstr("write --progress plain or none"));
    EXPECT_THAT(error({"--json", "--dry-run", "x"}), HasSubstr("leave out --json"));
}

TEST(OptionErrors, StayOnOneLineWhateverTheWordsHold) {
    EXPECT_THAT(error({"--ti\nme", "x"}), HasSubstr("unknown option --ti\\nme; "));
    EXPECT_THAT(error({"--timeout", "5\n5", "x"}), HasSubstr("--timeout 5\\n5: not a duration"));
    EXPECT_THAT(error({"--timeout", "\x1b[31m\xff", "x"}),
                HasSubstr("--timeout \\x1B[31m\\xFF: not a duration"));
    EXPECT_THAT(usage(parse_words({"tenure", "ma\np"})), HasSubstr("unknown command ma\\np"));
    EXPECT_LT(error({"--timeout", std::string(100'000, 'x').c_str(), "x"}).size(), 1100U);
}

TEST(OptionErrors, UnknownCommandOfTenure) {
    EXPECT_EQ(usage(parse_words({"tenure", "mpa", "x"})), "tenure: unknown command mpa; did you mean map?");
    EXPECT_EQ(usage(parse_words({"tenure", "gzip"})), "tenure: unknown command gzip; write tenure map gzip");
    EXPECT_THAT(usage(parse_words({"tenure", "-j2", "map"})), HasSubstr("tenure map -j2"));
    EXPECT_EQ(usage(parse_words({"tenure", "--hlep"})),
              "tenure: unknown option --hlep; did you mean --help?");
}

TEST(Help, IsWrittenToStandardOutput) {
    for (auto* flag : {"--help", "-h"}) {
        auto result = std::get<exit_with>(parse_map({flag}));
        EXPECT_EQ(result.status, 0);
        EXPECT_EQ(result.out, map_help);
        EXPECT_EQ(result.err, "");
    }
    EXPECT_EQ(std::get<exit_with>(parse_words({"tenure", "--help"})).out, tenure_help);
    EXPECT_EQ(std::get<exit_with>(parse_words({"tenure", "help", "map"})).out, map_help);
    EXPECT_EQ(std::get<exit_with>(parse_words({"tenure", "--version"})).out, "tenure " TENURE_VERSION "\n");
    EXPECT_EQ(std::get<exit_with>(parse_map({"--version"})).out, "tenure " TENURE_VERSION "\n");
    EXPECT_THAT(options({"ls", "--help"}).command, ElementsAre("ls", "--help")) << "the command's own";
}

TEST(Help, FitsOnTwoScreens) {
    std::istringstream in{std::string(map_help)};
    int lines = 0;
    for (std::string line; std::getline(in, line); ++lines)
        EXPECT_LE(line.size(), 80U) << line;
    EXPECT_LE(lines, 48);
}

TEST(Help, NamesEveryOption) {
    for (const char* option :
         {"-j, --jobs",   "--timeout",   "--deadline", "--grace",    "--retries", "--order",  "--results",
          "--keep-going", "--fail-fast", "--progress", "--json",     "--dry-run", "--shell",  "--isolate",
          "--tty",        "--from",      "-0, --null", "-h, --help", "--version", "Examples", "Exit status"})
        EXPECT_THAT(std::string(map_help), HasSubstr(option));
}

} // namespace
} // namespace tenure::inline v0::app
