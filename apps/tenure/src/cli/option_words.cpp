#include "cli/option_words.hpp"

#include "cli/spelling.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace tenure::inline v0::app {

namespace {

// How xargs and GNU parallel spell what we call otherwise, or do without.
constexpr std::array<std::pair<std::string_view, std::string_view>, 81> foreign{{
    {"-P", "write --jobs"},
    {"--max-procs", "write --jobs"},
    {"-a", "write --from"},
    {"--arg-file", "write --from"},
    {"-d", "items are lines, or end with NUL: write -0"},
    {"--delimiter", "items are lines, or end with NUL: write -0"},
    {"-k", "write --order input"},
    {"--keep-order", "write --order input"},
    {"-u", "write --tty, for one job with the terminal"},
    {"--ungroup", "write --tty, for one job with the terminal"},
    {"-o", "write --tty, for one job with the terminal"},
    {"--open-tty", "write --tty, for one job with the terminal"},
    {"--bar", "write --progress bar"},
    {"--eta", "write --progress bar"},
    {"--halt", "write --fail-fast"},
    {"--halt-on-error", "write --fail-fast"},
    {"--joblog", "write --results DIR, or --json"},
    {"--files", "write --results DIR"},
    {"--tag", "write --json, which tells whose output it is"},
    {"--tagstring", "write --json, which tells whose output it is"},
    {"--just-print", "write --dry-run"},
    {"-t", "write --dry-run to see the commands and run none, or --json to see them as they run"},
    {"--verbose", "write --dry-run to see the commands and run none, or --json to see them as they run"},
    {"-v", "write --dry-run to see the commands and run none, or --json to see them as they run"},
    {"-p", "write --dry-run to see the commands first"},
    {"--interactive", "write --dry-run to see the commands first"},
    {"-I", "leave it out: {} always stands for the item"},
    {"-i", "leave it out: {} always stands for the item"},
    {"--replace", "leave it out: {} always stands for the item"},
    {"-n", "leave it out: every command gets one item"},
    {"-N", "leave it out: every command gets one item"},
    {"-L", "leave it out: every command gets one item"},
    {"-l", "leave it out: every command gets one item"},
    {"-X", "leave it out: every command gets one item"},
    {"-m", "leave it out: every command gets one item"},
    {"-s", "leave it out: every command gets one item"},
    {"-x", "leave it out: every command gets one item"},
    {"--max-args", "leave it out: every command gets one item"},
    {"--max-lines", "leave it out: every command gets one item"},
    {"--max-replace-args", "leave it out: every command gets one item"},
    {"--max-chars", "leave it out: every command gets one item"},
    {"--xargs", "leave it out: every command gets one item"},
    {"--exit", "leave it out: every command gets one item"},
    {"-q", "leave it out: without --shell no word is read by a shell"},
    {"--quote", "leave it out: without --shell no word is read by a shell"},
    {"-r", "leave it out: no item, no command"},
    {"--no-run-if-empty", "leave it out: no item, no command"},
    {"--group", "leave it out: output of items is never mixed"},
    {"--line-buffer", "leave it out: output comes out when its item has ended"},
    {"--lb", "leave it out: output comes out when its item has ended"},
    {"--linebuffer", "leave it out: output comes out when its item has ended"},
    {"--resume", "a run is not resumed: give the items that are left, or write --retries N"},
    {"--resume-failed", "a run is not resumed: give the items that are left, or write --retries N"},
    {"--retry-failed", "a run is not resumed: give the items that are left, or write --retries N"},
    {"-E", "end the input where the items end"},
    {"-e", "end the input where the items end"},
    {"--eof", "end the input where the items end"},
    {"-C", "write --shell and cut the item there"},
    {"--colsep", "write --shell and cut the item there"},
    {"--shuf", "pipe the items through shuf"},
    {"--wd", "write cd in front, or --shell 'cd DIR && …'"},
    {"--workdir", "write cd in front, or --shell 'cd DIR && …'"},
    {"--nice", "write nice in front of tenure or of the command"},
    {"--delay", "items start when a job is free: write -j with fewer"},
    {"--load", "items start when a job is free: write -j with fewer"},
    {"--memfree", "items start when a job is free: write -j with fewer"},
    {"--memsuspend", "items start when a job is free: write -j with fewer"},
    {"--pipe", "standard input is not cut up for jobs: write items, or files of them"},
    {"--pipepart", "standard input is not cut up for jobs: write items, or files of them"},
    {"--block", "standard input is not cut up for jobs: write items, or files of them"},
    {"-S", "items run on this machine: write ssh in the command"},
    {"--sshlogin", "items run on this machine: write ssh in the command"},
    {"--sshloginfile", "items run on this machine: write ssh in the command"},
    {"--link", "there is one list of items: pipe lines made by paste"},
    {"--xapply", "there is one list of items: pipe lines made by paste"},
    {"--process-slot-var", "write {#}, the number of the item"},
    {"--bg", "a run ends with its items: write & behind it"},
    {"--semaphore", "a run ends with its items: write & behind it"},
    {"--fg", "a run ends with its items: write & behind it"},
    {"--silent", "write --progress none"},
    {"--quiet", "write --progress none"},
}};

const option_shape* find_long(std::span<const option_shape> shapes, std::string_view name) {
    const auto it = std::find_if(shapes.begin(), shapes.end(), [&](auto& s) { return s.long_name == name; });
    return it == shapes.end() ? nullptr : &*it;
}

const option_shape* find_short(std::span<const option_shape> shapes, char name) {
    const auto it = std::find_if(shapes.begin(), shapes.end(), [&](auto& s) { return s.short_name == name; });
    return it == shapes.end() ? nullptr : &*it;
}

// `option` is what stands there, dashes included and without a value; `word` is all of the word.
problem unknown_option(std::string_view option, std::string_view word, std::span<const option_shape> shapes) {
    std::vector<std::string_view> names;
    for (const option_shape& shape : shapes)
        names.push_back(shape.long_name);
    std::string_view meant = word.substr(0, word.find('='));
    meant.remove_prefix(std::min(meant.find_first_not_of('-'), meant.size()));
    const auto near = nearest_spelling(meant, names);

    std::string text = "unknown option ";
    // "-timeout" is an option with a dash too few, not seven options.
    if (!option.starts_with("--") && meant.size() > 2 && !near.empty())
        return {text + std::string(word) + "; did you mean --" + std::string(near) + "?"};
    text += option;
    for (const auto& [theirs, ours] : foreign) {
        if (option == theirs) return {text + "; " + std::string(ours)};
    }
    if (!near.empty()) return {text + "; did you mean --" + std::string(near) + "?"};
    return {text + "; see tenure map --help"};
}

problem needs_value(std::string_view long_name) {
    return {"--" + std::string(long_name) + " needs a value; see tenure map --help"};
}

class splitter {
public:
    splitter(std::span<const char* const> words, std::span<const option_shape> shapes)
        : words_(words), shapes_(shapes) {}

    checked<option_words> run() {
        for (; at_ < words_.size(); ++at_) {
            const std::string_view word = words_[at_];
            if (word == "--") {
                ++at_;
                break;
            }
            if (word.size() < 2 || word[0] != '-') break; // `-` alone is a word like any other
            if (auto wrong = word.starts_with("--") ? long_option(word) : short_options(word)) return *wrong;
        }
        return rest();
    }

private:
    std::optional<problem> take_value(const option_shape& shape, std::optional<std::string_view> attached) {
        words_out_.options.push_back("--" + std::string(shape.long_name));
        if (!shape.takes_value) return std::nullopt;
        if (!attached) {
            if (at_ + 1 >= words_.size() || std::string_view(words_[at_ + 1]) == ":::")
                return needs_value(shape.long_name);
            attached = words_[++at_];
        }
        words_out_.options.emplace_back(*attached);
        return std::nullopt;
    }

    std::optional<problem> long_option(std::string_view word) {
        const auto equals = word.find('=');
        const std::string_view name = word.substr(2, equals == std::string_view::npos ? equals : equals - 2);
        const option_shape* shape = find_long(shapes_, name);
        if (!shape) return unknown_option(word.substr(0, equals), word, shapes_);
        if (equals == std::string_view::npos) return take_value(*shape, std::nullopt);
        if (!shape->takes_value) return problem{"--" + std::string(name) + " takes no value"};
        return take_value(*shape, word.substr(equals + 1));
    }

    std::optional<problem> short_options(std::string_view word) {
        // Look at all letters before taking any: the first that is wrong decides what the word was meant to be.
        for (std::size_t i = 1; i < word.size(); ++i) {
            const option_shape* shape = find_short(shapes_, word[i]);
            if (!shape) return unknown_option({"-" + std::string(1, word[i])}, word, shapes_);
            if (shape->takes_value) break;
        }
        for (std::size_t i = 1; i < word.size(); ++i) {
            const option_shape& shape = *find_short(shapes_, word[i]);
            if (!shape.takes_value) {
                take_value(shape, std::nullopt);
                continue;
            }
            if (i + 1 == word.size()) return take_value(shape, std::nullopt);
            return take_value(shape, word.substr(i + 1));
        }
        return std::nullopt;
    }

    checked<option_words> rest() {
        for (; at_ < words_.size(); ++at_) {
            const std::string_view word = words_[at_];
            if (word == "::::") return problem{"'::::' is not known here; write --from FILE"};
            if (word == ":::+" || word == "::::+")
                return problem{"'" + std::string(word) + "' is not known here"};
            if (word == ":::") {
                if (words_out_.items) return problem{"only one list of items (':::') can be given"};
                words_out_.items.emplace();
            } else if (words_out_.items) {
                words_out_.items->emplace_back(word);
            } else {
                words_out_.command.emplace_back(word);
            }
        }
        return std::move(words_out_);
    }

    std::span<const char* const> words_;
    std::span<const option_shape> shapes_;
    std::size_t at_ = 0;
    option_words words_out_;
};

} // namespace

checked<option_words> split_words(std::span<const char* const> words, std::span<const option_shape> shapes) {
    return splitter(words, shapes).run();
}

} // namespace tenure::inline v0::app
