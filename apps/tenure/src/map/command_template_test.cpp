#include "map/command_template.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tenure::inline v0::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using words = std::vector<std::string>;

item an_item(std::string text, std::uint64_t seq = 1) {
    const auto bytes = text.size();
    return {seq, std::move(text), bytes};
}

words argv(const words& command, std::string text, bool shell = false, std::uint64_t seq = 1) {
    auto e = command_template(command, shell, {}).expand(an_item(std::move(text), seq));
    if (auto* wrong = std::get_if<expansion_error>(&e)) {
        ADD_FAILURE() << wrong->reason;
        return {};
    }
    return std::get<words>(e);
}

std::string expanded(const std::string& field, std::string text) {
    return argv({"c", field}, std::move(text)).at(1);
}

// Runs argv and returns what it wrote; "spawn: <errno>" when it could not be started.
std::string output_of(const words& arguments) {
    std::array<int, 2> pipe_fds{};
    if (::pipe2(pipe_fds.data(), O_CLOEXEC) != 0) return "pipe";
    std::vector<char*> raw;
    for (const std::string& a : arguments)
        raw.push_back(const_cast<char*>(a.c_str()));
    raw.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, pipe_fds[1], STDOUT_FILENO);
    pid_t pid = -1;
    const int error = ::posix_spawnp(&pid, raw[0], &actions, nullptr, raw.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    ::close(pipe_fds[1]);
    std::string text;
    std::array<char, 65536> chunk;
    for (ssize_t n = 0; (n = ::read(pipe_fds[0], chunk.data(), chunk.size())) > 0;)
        text.append(chunk.data(), static_cast<std::size_t>(n));
    ::close(pipe_fds[0]);
    if (error != 0) return "spawn: " + std::to_string(error);
    int status = 0;
    EXPECT_EQ(::waitpid(pid, &status, 0), pid);
    return text;
}

std::string shell(const words& command, std::string text) {
    return output_of(argv(command, std::move(text), true));
}

const std::vector<std::string> awkward{"plain",
                                       "a b",
                                       "",
                                       " ",
                                       "it's",
                                       "\"double\"",
                                       "a\nb",
                                       "\n",
                                       "trailing\n",
                                       "-n",
                                       "--help",
                                       "$HOME",
                                       "$(echo pwned)",
                                       "`echo pwned`",
                                       "; echo pwned",
                                       "a\\b",
                                       "\\",
                                       "*",
                                       "~",
                                       "#",
                                       "\xff\xfe",
                                       "caf\xe9",
                                       "!x",
                                       "${x}",
                                       "'; echo pwned; '",
                                       "\"; echo pwned; \"",
                                       "{}",
                                       "{.}",
                                       "%s",
                                       "\t",
                                       "\x01\x7f"};

TEST(Replacement, EveryString) {
    EXPECT_EQ(expanded("{}", "a/b/c.tar.gz"), "a/b/c.tar.gz");
    EXPECT_EQ(expanded("{.}", "a/b/c.tar.gz"), "a/b/c.tar");
    EXPECT_EQ(expanded("{/}", "a/b/c.tar.gz"), "c.tar.gz");
    EXPECT_EQ(expanded("{//}", "a/b/c.tar.gz"), "a/b");
    EXPECT_EQ(expanded("{/.}", "a/b/c.tar.gz"), "c.tar");
    EXPECT_EQ(argv({"c", "{#}"}, "x", false, 42).at(1), "42");
}

TEST(Replacement, ExtensionsAsGnuParallelSeesThem) {
    EXPECT_EQ(expanded("{.}", "foo"), "foo");
    EXPECT_EQ(expanded("{.}", "foo."), "foo");
    EXPECT_EQ(expanded("{.}", ".bashrc"), "");
    EXPECT_EQ(expanded("{.}", "a/.bashrc"), "a/");
    EXPECT_EQ(expanded("{.}", "a.b/c"), "a.b/c");
    EXPECT_EQ(expanded("{.}", ""), "");
    EXPECT_EQ(expanded("{/.}", "a.b/c"), "c");
    EXPECT_EQ(expanded("{/.}", "a/b.c/"), "");
}

TEST(Replacement, FoldersAsDirname) {
    for (auto [path, folder] : std::initializer_list<std::pair<const char*, const char*>>{{"foo", "."},
                                                                                          {"a/b", "a"},
                                                                                          {"a/b/", "a"},
                                                                                          {"a//b", "a"},
                                                                                          {"/", "/"},
                                                                                          {"//", "/"},
                                                                                          {"/x", "/"},
                                                                                          {"/x/y", "/x"},
                                                                                          {"", "."}})
        EXPECT_EQ(expanded("{//}", path), folder) << path;
    EXPECT_EQ(expanded("{/}", "a/b/"), "");
    EXPECT_EQ(expanded("{/}", "a\nb/c"), "c");
}

TEST(Replacement, InsideWordsAndSeveralTimes) {
    EXPECT_THAT(argv({"cp", "{}", "out/{/.}.{#}.bak", "x{}y{}z"}, "d/f.txt", false, 3),
                ElementsAre("cp", "d/f.txt", "out/f.3.bak", "xd/f.txtyd/f.txtz"));
    EXPECT_THAT(argv({"{}"}, "true"), ElementsAre("true"));
}

TEST(Replacement, AppendedWhenThereIsNone) {
    EXPECT_THAT(argv({"gzip", "-k"}, "f"), ElementsAre("gzip", "-k", "f"));
    EXPECT_THAT(argv({"echo", "{#}"}, "f", false, 7), ElementsAre("echo", "7"));
}

TEST(Replacement, OtherBracesStay) {
    EXPECT_THAT(argv({"c", "{", "}", "{x}", "{///}", "{ }", "{{}}", "${a}", ""}, "I"),
                ElementsAre("c", "{", "}", "{x}", "{///}", "{ }", "{I}", "${a}", ""));
}

TEST(Replacement, NothingInTheItemIsReplacedAgain) { EXPECT_EQ(expanded("{}{/}", "{.}"), "{.}{.}"); }

TEST(Replacement, ArgumentsAreTheBytesOfTheItem) {
    for (const std::string& text : awkward) {
        EXPECT_THAT(argv({"c"}, text), ElementsAre("c", text));
        EXPECT_EQ(output_of(argv({"printf", "<%s>"}, text)), "<" + text + ">");
    }
}

TEST(ShellScript, ItemsSurviveInEveryKindOfQuotes) {
    for (const std::string& text : awkward) {
        EXPECT_EQ(shell({"printf '<%s>'"}, text), "<" + text + ">");
        EXPECT_EQ(shell({"printf '<%s>' {}"}, text), "<" + text + ">");
        EXPECT_EQ(shell({"printf '<%s>' \"{}\""}, text), "<" + text + ">");
        EXPECT_EQ(shell({"printf '<%s>' '{}'"}, text), "<" + text + ">");
        EXPECT_EQ(shell({"printf '<%s>' a'b{}c'd\"e{}f\""}, text), "<ab" + text + "cde" + text + "f>");
    }
}

TEST(ShellScript, ItemsSurviveWhereQuotingIsHardToFollow) {
    for (const std::string& text : awkward) {
        EXPECT_EQ(shell({"# don't\nprintf '<%s>' {}"}, text), "<" + text + ">");
        EXPECT_EQ(shell({"f() { printf '<%s>' {}; }; set -- x; f y z"}, text), "<" + text + ">");
    }
    for (const std::string& text : awkward) {
        if (text.ends_with('\n')) continue; // $( ) drops newlines at the end
        EXPECT_EQ(shell({"printf '<%s>' \"$(printf %s {})\""}, text), "<" + text + ">");
        EXPECT_EQ(shell({"printf '<%s>' \"$(printf %s \"{}\")\""}, text), "<" + text + ">");
    }
}

// Every shell that may be /bin/sh somewhere.
std::vector<std::string> shells() {
    std::vector<std::string> there{"/bin/sh"};
    for (const char* other : {"/bin/dash", "/bin/bash", "/bin/ksh"}) {
        if (::access(other, X_OK) == 0) there.emplace_back(other);
    }
    return there;
}

TEST(ShellScript, ItemsSurviveInEveryShellAndPlace) {
    struct example {
        const char* script;
        const char* before = "<";
        const char* after = ">";
    };
    const std::vector<example> examples{
        {"printf %s \"`printf '<%s>' {}`\""},
        {"printf %s \"`printf '<%s>' \"{}\"`\""},
        {"printf %s \"`printf '<%s>' '{}'`\""},
        {"printf '<%s>' \"`printf %s \\\"{}\\\"`\""},
        {"x=`printf '<%s>' {}`; printf %s \"$x\""},
        {"x=\"`printf %s {}`\"; printf '<%s>' \"$x\""},
        {"x=`printf %s {} | sed 's/\\\\(zz\\\\)/\\\\1/'`; printf '<%s>' \"$x\""},
        {"printf '<%s>' \"$(case x in (x) printf %s \"{}\";; esac)\""},
        {"case x in x) printf '<%s>' {};; esac"},
        {"x={}; printf '<%s>' \"$(case x in x) printf %s \"$x\";; esac)\""},
        {"x={}; cat <<E\n<$x>\nE\n", "<", ">\n"},
        {"printf '<%s>' \"$(printf %s \"`printf %s {}`\")\""},
        {"printf '<%s%s>' {} $(( $(printf %s {} | wc -c) * 0 ))", "<", "0>"},
        {"printf '<%s%s>' {} $(( {#} + 1 ))", "<", "2>"},
        {"printf '<%s%s>' {} \"$(({#}+1))\"", "<", "2>"},
        {"x=$((1 << 2)); printf '<%s%s>' {} \"$x\"", "<", "4>"},
        {"( (printf '<%s>' {}) )"},
        {"x=${y:-'a b'}; printf '<%s>' {}"},
        {"x=$$; printf '<%s>' {}"},
    };
    const std::vector<std::string> nasty{
        "a  b", "*",  "$(echo pwned >&2)",   "`echo pwned >&2`", "it's \"x\" \\",
        "a\nb", "-n", "a[$(echo pwned >&2)]"};
    for (const std::string& sh : shells()) {
        for (const example& e : examples) {
            for (const std::string& text : nasty) {
                auto command = argv({e.script}, text, true);
                command[0] = sh;
                EXPECT_EQ(output_of(command), e.before + text + e.after) << sh << ": " << e.script;
            }
        }
    }
}

TEST(ShellScript, IsRefusedWhereAnItemWouldBeRead) {
    const auto trouble = [](const char* script) {
        const auto wrong = command_template::script_trouble({script});
        return wrong ? wrong->text : "";
    };
    EXPECT_EQ(trouble("echo $(( {} + 1 ))"),
              "--shell cannot put {} inside ((…)), which would evaluate it; write $(expr {} + 1) "
              "(at: echo $(( {} + 1 )))");
    EXPECT_THAT(trouble("echo\n\\{/}"),
                HasSubstr("cannot put {/} after a backslash; leave it out (at: echo\\n\\{/})"));
    EXPECT_THAT(trouble("cat <<E\n{}\nE"),
                HasSubstr("here-document; assign the item to a variable before it: x={}; "));
    EXPECT_THAT(trouble("cat <<E\nE"), HasSubstr("here-document")) << "where it is appended";
    EXPECT_THAT(trouble("echo ${}"), HasSubstr("after a $; "));
    EXPECT_THAT(trouble("echo $({} 'a)"), HasSubstr("ends before what ' began; close it"));
    for (const char* good : {"echo {}", "echo $(( {#} ))", "", "\"`basename {}`\"", "# {} don't"})
        EXPECT_EQ(trouble(good), "") << good;
}

TEST(ShellScript, WordsAreJoinedAndMayUseTheShell) {
    EXPECT_EQ(shell({"echo", "{}", "|", "tr", "a-z", "A-Z"}, "abc"), "ABC\n");
    EXPECT_EQ(shell({"for i in 1 2; do echo $i {}; done"}, "x y"), "1 x y\n2 x y\n");
}

TEST(ShellScript, EveryReplacementString) {
    EXPECT_EQ(output_of(argv({"echo {} {.} {/} {//} {/.} {#} {}"}, "a b/c d.e", true, 9)),
              "a b/c d.e a b/c d c d.e a b c d 9 a b/c d.e\n");
}

TEST(ShellScript, ScriptHasNoArgumentsOfItsOwn) { EXPECT_EQ(shell({"echo $# {} {#}"}, "x"), "0 x 1\n"); }

TEST(ShellScript, ItemsAreNotPartOfTheScript) {
    auto a = argv({"echo"}, "$(touch /nowhere)", true);
    EXPECT_THAT(a, ElementsAre("/bin/sh", "-c", "tenure_1=$1; shift; echo \"${tenure_1}\"", "sh",
                               "$(touch /nowhere)"));
}

TEST(DryRun, PrintsWhatAShellReadsBack) {
    EXPECT_EQ(command_template::line({"gzip", "-k", "a b"}), "gzip -k 'a b'");
    for (const std::string& text : awkward) {
        const std::string line = command_template::line({"printf", "<%s>", text});
        EXPECT_EQ(output_of({"/bin/sh", "-c", line}), "<" + text + ">");
    }
}

expansion_error refused(const command_template& command, const item& what) {
    auto e = command.expand(what);
    if (auto* wrong = std::get_if<expansion_error>(&e)) return *wrong;
    ADD_FAILURE() << "was accepted";
    return {};
}

TEST(Limits, OneArgument) {
    command_template command({"c"}, false, {});
    EXPECT_TRUE(std::holds_alternative<words>(command.expand(an_item(std::string(131071, 'x')))));
    EXPECT_EQ(
        refused(command, an_item(std::string(140000, 'x'))).text(7),
        "item 7: 140000 bytes, longer than the system allows for one argument (131071); pass it by file");
    EXPECT_EQ(refused(command, an_item(std::string(131072, 'x'))).detail, "131072 bytes");
    EXPECT_EQ(refused(command_template({"c", "{}{}"}, false, {}), an_item(std::string(70000, 'x'))).detail,
              "140000 bytes");
}

TEST(Limits, ReasonIsTheSameForEveryItem) {
    command_template command({"c"}, false, {});
    EXPECT_EQ(refused(command, an_item(std::string(140000, 'x'))).reason,
              refused(command, an_item(std::string(150000, 'x'))).reason);
}

TEST(Limits, ItemThatWasCutIsRefusedWhateverTheCommandTakes) {
    command_template command({"c", "{#}"}, false, {});
    EXPECT_EQ(refused(command, {1, "beginning", 5'000'000'000}).detail, "5000000000 bytes");
}

TEST(Limits, WholeCommandLine) {
    argument_limits limits;
    limits.all = 20000;
    limits.taken = 10000;
    command_template command({"c"}, false, limits);
    EXPECT_TRUE(std::holds_alternative<words>(command.expand(an_item(std::string(5000, 'x')))));
    EXPECT_THAT(refused(command, an_item(std::string(9000, 'x'))).text(1),
                HasSubstr("with the environment, longer than the system allows for a command line (20000)"));
}

TEST(Limits, NulByte) {
    command_template command({"c"}, false, {});
    EXPECT_THAT(refused(command, an_item(std::string("a\0b", 3))).text(3),
                HasSubstr("item 3: contains a NUL byte"));
}

TEST(Limits, AreThoseOfTheSystem) {
    const auto limits = argument_limits::of_this_process();
    const auto accepted = [&](const words& arguments) {
        return output_of(arguments) != "spawn: " + std::to_string(E2BIG);
    };
    // What is accepted can be run; one byte more in one argument can not.
    command_template one({"true"}, false, limits);
    const item longest = an_item(std::string(limits.one - 1, 'x'));
    EXPECT_TRUE(accepted(std::get<words>(one.expand(longest))));
    EXPECT_FALSE(accepted({"true", longest.text + "x"}));
    EXPECT_TRUE(std::holds_alternative<expansion_error>(one.expand(an_item(longest.text + "x"))));

    // As many long words as the estimate allows can be run; twice as many can not.
    words many{"true"};
    while (std::holds_alternative<words>(command_template(many, false, limits).expand(an_item("x"))))
        many.emplace_back(100'000, 'y');
    many.pop_back();
    EXPECT_GT(many.size(), 1U);
    EXPECT_TRUE(accepted(std::get<words>(command_template(many, false, limits).expand(an_item("x")))));
    const words as_many = many;
    many.insert(many.end(), as_many.begin(), as_many.end());
    EXPECT_FALSE(accepted(many));
}

TEST(Limits, GrowWithTheEnvironment) {
    const auto before = argument_limits::of_this_process().taken;
    ASSERT_EQ(::setenv("TENURE_TEST_VARIABLE", std::string(1000, 'x').c_str(), 1), 0);
    EXPECT_GE(argument_limits::of_this_process().taken, before + 1000);
    ASSERT_EQ(::unsetenv("TENURE_TEST_VARIABLE"), 0);
}

} // namespace
} // namespace tenure::inline v0::app
