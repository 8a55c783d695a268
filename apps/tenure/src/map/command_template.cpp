#include "map/command_template.hpp"

#include "map/shell_script.hpp"
#include "map/text.hpp"

#include <algorithm>
#include <array>
#include <sys/resource.h>
#include <unistd.h>
#include <utility>

namespace tenure::inline v0::app {

namespace {

std::string_view base_of(std::string_view path) {
    const auto slash = path.rfind('/');
    return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

std::string_view without_extension(std::string_view path) {
    const auto dot = path.rfind('.');
    if (dot == std::string_view::npos || path.find('/', dot) != std::string_view::npos) return path;
    return path.substr(0, dot);
}

// As dirname(1): "." when there is no slash, "/" for the root, slashes at the end do not count.
std::string_view folder_of(std::string_view path) {
    const auto last = path.find_last_not_of('/');
    if (last == std::string_view::npos) return path.empty() ? "." : "/";
    const auto slash = path.rfind('/', last);
    if (slash == std::string_view::npos) return ".";
    const auto end = path.find_last_not_of('/', slash);
    return end == std::string_view::npos ? "/" : path.substr(0, end + 1);
}

} // namespace

argument_limits argument_limits::of_this_process() {
    // What the kernel does in bprm_stack_limits(): a quarter of the stack, from 128 KiB up to three quarters of 8 MiB.
    constexpr std::size_t least = 128 * 1024;
    constexpr std::size_t most = 6 * 1024 * 1024;
    argument_limits limits;
    limits.one = 32 * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    struct rlimit stack{};
    limits.all = most;
    if (::getrlimit(RLIMIT_STACK, &stack) == 0 && stack.rlim_cur != RLIM_INFINITY)
        limits.all = std::clamp<std::size_t>(stack.rlim_cur / 4, least, most);
    for (char** variable = environ; variable && *variable; ++variable)
        limits.taken += std::string_view(*variable).size() + 1 + sizeof(char*);
    return limits;
}

std::string expansion_error::text(std::uint64_t seq) const {
    return "item " + std::to_string(seq) + ": " + (detail.empty() ? "" : detail + ", ") + reason;
}

command_template::command_template(const std::vector<std::string>& words, bool shell, argument_limits limits)
    : limits_(limits), shell_(shell) {
    if (shell_) {
        make_script(words);
        return;
    }
    bool any = false;
    for (const std::string& text : words) {
        words_.push_back(split(text));
        any = any || words_.back().front().value;
    }
    if (!any) words_.push_back({part{{}, field::item}});
}

std::optional<command_template::field> command_template::field_at(std::string_view text,
                                                                  std::size_t& length) {
    static constexpr std::array<std::pair<std::string_view, field>, 6> fields{
        {{"{}", field::item},
         {"{.}", field::no_extension},
         {"{/}", field::base},
         {"{//}", field::folder},
         {"{/.}", field::base_no_extension},
         {"{#}", field::number}}};
    for (const auto& [spelling, which] : fields) {
        if (text.starts_with(spelling)) {
            length = spelling.size();
            return which;
        }
    }
    return std::nullopt;
}

// At least one part; only the last one may lack a field.
command_template::word command_template::split(std::string_view text) {
    word parts;
    std::string literal;
    while (!text.empty()) {
        std::size_t length = 1;
        if (auto which = field_at(text, length))
            parts.push_back({std::exchange(literal, {}), which});
        else
            literal += text.front();
        text.remove_prefix(length);
    }
    if (!literal.empty() || parts.empty()) parts.push_back({std::move(literal), std::nullopt});
    return parts;
}

// The words, with a field at the end when there is none.
std::string command_template::script_text(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& w : words)
        text += (text.empty() ? "" : " ") + w;
    return split(text).front().value ? text : text + " {}";
}

std::optional<problem> command_template::script_trouble(const std::vector<std::string>& words) {
    constexpr std::size_t around = 24; // bytes of the script that are shown
    const std::string text = script_text(words);
    quoting_tracker quoting;
    for (std::size_t i = 0, length = 1; i < text.size(); i += std::exchange(length, 1)) {
        const auto which = field_at(std::string_view(text).substr(i), length);
        if (!which) {
            quoting.feed(text[i]);
            continue;
        }
        if (const auto why = quoting.refusal(*which == field::number); !why.empty()) {
            const std::size_t begin = i - std::min(i, around);
            std::string shown = printable(text.substr(begin, i - begin + length + around), 8 * around);
            return problem{"--shell cannot put " + text.substr(i, length) + " " + std::string(why) +
                           " (at: " + std::move(shown) + ")"};
        }
        quoting.feed_item();
    }
    if (const auto begun = quoting.unfinished(); !begun.empty())
        return problem{"--shell: the script ends before what " + std::string(begun) + " began; close it"};
    return std::nullopt;
}

// The script takes its arguments into variables, which neither functions nor `set` in the body can change, and leaves
// $1, $2 … empty, as a script without arguments finds them.
void command_template::make_script(const std::vector<std::string>& words) {
    std::string body;
    quoting_tracker quoting;
    for (const part& p : split(script_text(words))) {
        body += p.literal;
        for (char c : p.literal)
            quoting.feed(c);
        if (!p.value) continue;
        auto it = std::find(script_args_.begin(), script_args_.end(), *p.value);
        const auto number = static_cast<std::size_t>(it - script_args_.begin()) + 1;
        if (it == script_args_.end()) script_args_.push_back(*p.value);
        body += variable_in(quoting.at(), "tenure_" + std::to_string(number));
        quoting.feed_item();
    }
    for (std::size_t i = 1; i <= script_args_.size(); ++i)
        script_ += "tenure_" + std::to_string(i) + "=$" + std::to_string(i) + "; ";
    script_ += script_args_.size() == 1 ? "shift; " : "shift " + std::to_string(script_args_.size()) + "; ";
    script_ += body;
}

std::string command_template::value_of(field which, const item& what) {
    const std::string_view text = what.text;
    switch (which) {
    case field::item: return what.text;
    case field::no_extension: return std::string(without_extension(text));
    case field::base: return std::string(base_of(text));
    case field::folder: return std::string(folder_of(text));
    case field::base_no_extension: return std::string(without_extension(base_of(text)));
    case field::number: return std::to_string(what.seq);
    }
    return {};
}

std::vector<std::string> command_template::argv_for(const item& what) const {
    std::vector<std::string> argv;
    if (shell_) {
        argv.reserve(4 + script_args_.size());
        argv.insert(argv.end(), {"/bin/sh", "-c", script_, "sh"});
        for (field which : script_args_)
            argv.push_back(value_of(which, what));
        return argv;
    }
    argv.reserve(words_.size());
    for (const word& parts : words_) {
        std::string& text = argv.emplace_back();
        for (const part& p : parts) {
            text += p.literal;
            if (p.value) text += value_of(*p.value, what);
        }
    }
    return argv;
}

expansion command_template::expand(const item& what) const {
    const auto too_long_for_one = [&](std::uint64_t bytes) {
        return expansion_error{std::to_string(bytes) + " bytes",
                               "longer than the system allows for one argument (" +
                                   std::to_string(limits_.one - 1) + "); pass it by file"};
    };
    if (what.bytes > what.text.size()) return too_long_for_one(what.bytes);
    if (what.text.find('\0') != std::string::npos) {
        return expansion_error{
            {}, "contains a NUL byte, which no argument can hold; use -0 when items are separated by it"};
    }
    std::vector<std::string> argv = argv_for(what);
    // The kernel counts the path of the program as well; it is known only to who looks it up.
    std::size_t all = limits_.taken + 4096;
    for (const std::string& argument : argv) {
        if (argument.size() >= limits_.one) return too_long_for_one(argument.size());
        all += argument.size() + 1 + sizeof(char*);
    }
    if (all > limits_.all) {
        return expansion_error{std::to_string(all) + " bytes with the environment",
                               "longer than the system allows for a command line (" +
                                   std::to_string(limits_.all) + "); pass it by file"};
    }
    return argv;
}

std::string command_template::line(const std::vector<std::string>& argv) {
    std::string text;
    for (const std::string& argument : argv)
        text += (text.empty() ? "" : " ") + shell_quoted(argument);
    return text;
}

} // namespace tenure::inline v0::app
