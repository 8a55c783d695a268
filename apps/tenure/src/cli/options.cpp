#include "cli/options.hpp"

#include "cli/available_cpus.hpp"
#include "cli/duration.hpp"
#include "cli/help.hpp"
#include "cli/option_words.hpp"
#include "cli/spelling.hpp"
#include "map/text.hpp"

#include <CLI/CLI.hpp>

#include <array>
#include <charconv>
#include <span>
#include <string_view>
#include <utility>

namespace tenure::inline v0::app {

namespace {

using words = std::span<const char* const>;

exit_with usage_error(std::string_view who, std::string_view text) {
    constexpr std::size_t enough = 1000; // columns: words are quoted as they were given, and may be long
    return {2, {}, std::string(who) + ": " + printable(text, enough) + "\n"};
}

exit_with version() { return {0, "tenure " TENURE_VERSION "\n", {}}; }

// The options as they were written; values are read afterwards, so that every message is ours.
struct written {
    std::string jobs, timeout, deadline, grace, retries, order, results, progress, from;
    bool keep_going = false, fail_fast = false, json = false, dry_run = false, shell = false, isolate = false;
    bool tty = false, null = false, help = false, version = false;
};

// The table of options: read by the splitter for their shapes and by CLI11 for their values.
class option_table {
public:
    explicit option_table(written& w) {
        app_.set_help_flag(); // --help is an ordinary flag here
        value("-j,--jobs", w.jobs);
        value("--timeout", w.timeout);
        value("--deadline", w.deadline);
        value("--grace", w.grace);
        value("--retries", w.retries);
        value("--order", w.order);
        value("--results", w.results);
        value("--progress", w.progress);
        value("--from", w.from);
        flag("--keep-going", w.keep_going);
        flag("--fail-fast", w.fail_fast);
        flag("--json", w.json);
        flag("--dry-run", w.dry_run);
        flag("--shell", w.shell);
        flag("--isolate", w.isolate);
        flag("--tty", w.tty);
        flag("-0,--null", w.null);
        flag("-h,--help", w.help);
        flag("--version", w.version);
    }

    std::span<const option_shape> shapes() const { return shapes_; }

    bool given(const char* name) const { return app_.count(name) > 0; }

    // `options` come from the splitter, so each is known and has its value.
    void parse(std::vector<std::string> options) {
        std::vector<std::string> reversed(std::make_move_iterator(options.rbegin()),
                                          std::make_move_iterator(options.rend())); // as CLI11 wants them
        app_.parse(reversed);
    }

private:
    // When an option is given twice, the last one counts.
    void value(const char* names, std::string& to) { shape(app_.add_option(names, to)->take_last(), true); }
    void flag(const char* names, bool& to) { shape(app_.add_flag(names, to)->take_last(), false); }

    void shape(const CLI::Option* option, bool takes_value) {
        const auto& shorts = option->get_snames();
        shapes_.push_back(
            {option->get_lnames().front(), shorts.empty() ? '\0' : shorts.front().front(), takes_value});
    }

    CLI::App app_;
    std::vector<option_shape> shapes_;
};

checked<unsigned> parse_number(std::string_view text, unsigned least, unsigned most, std::string_view what) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size() || value < least || value > most) {
        return problem{std::string(text) + ": not a number of " + std::string(what) + "; write " +
                       std::to_string(least) + " to " + std::to_string(most)};
    }
    return value;
}

template <class Choice, std::size_t N>
checked<Choice> parse_choice(std::string_view text,
                             const std::array<std::pair<std::string_view, Choice>, N>& choices) {
    std::string list;
    std::array<std::string_view, N> names;
    for (std::size_t i = 0; i < N; ++i) {
        if (choices[i].first == text) return choices[i].second;
        names[i] = choices[i].first;
        list += (i == 0 ? "" : i + 1 == N ? " or " : ", ") + std::string(choices[i].first);
    }
    if (const auto near = nearest_spelling(text, names); !near.empty())
        return problem{std::string(text) + ": did you mean " + std::string(near) + "? (" + list + ")"};
    return problem{std::string(text) + ": write " + list};
}

constexpr std::array<std::pair<std::string_view, item_order>, 2> orders{
    {{"input", item_order::input}, {"done", item_order::done}}};

constexpr std::array<std::pair<std::string_view, progress_style>, 4> styles{
    {{"auto", progress_style::automatic},
     {"bar", progress_style::bar},
     {"plain", progress_style::plain},
     {"none", progress_style::none}}};

// Turns what was written into map_options; keeps the first problem.
class reader {
public:
    reader(const written& w, const option_table& given) : w_(w), given_(given) {}

    std::optional<problem> read(map_options& o, unsigned cpus) {
        o.jobs = cpus;
        if (given_.given("--jobs")) take("--jobs", parse_number(w_.jobs, 1, max_jobs, "jobs"), o.jobs);
        take_duration("--timeout", w_.timeout, false, o.timeout);
        take_duration("--deadline", w_.deadline, false, o.deadline);
        std::optional<std::chrono::nanoseconds> grace;
        take_duration("--grace", w_.grace, true, grace);
        o.grace = grace.value_or(o.grace);
        if (given_.given("--retries"))
            take("--retries", parse_number(w_.retries, 0, 1000, "retries"), o.retries);
        if (given_.given("--order")) take("--order", parse_choice(w_.order, orders), o.order);
        if (given_.given("--progress")) take("--progress", parse_choice(w_.progress, styles), o.progress);
        if (given_.given("--results")) {
            if (w_.results.empty()) fail("--results needs the name of a folder");
            o.results = w_.results;
        }
        o.fail_fast = w_.fail_fast;
        o.json = w_.json;
        o.dry_run = w_.dry_run;
        o.shell = w_.shell;
        o.isolate = w_.isolate;
        o.tty = w_.tty;
        o.nul_separated = w_.null;
        if (o.tty && !given_.given("--jobs")) o.jobs = 1;
        // A bar would be written over by whatever reads the events and shows them on the same terminal.
        if (o.json && o.progress == progress_style::automatic) o.progress = progress_style::plain;
        conflicts(o);
        return first_;
    }

private:
    void fail(std::string text) {
        if (!first_) first_ = problem{std::move(text)};
    }

    template <class T, class To>
    void take(const char* option, checked<T> value, To& to) {
        if (value)
            to = *value;
        else
            fail(std::string(option) + " " + value.why());
    }

    void take_duration(const char* option, const std::string& text, bool zero_allowed,
                       std::optional<std::chrono::nanoseconds>& to) {
        if (!given_.given(option)) return;
        take(option, parse_duration(text), to);
        if (to && to->count() == 0 && !zero_allowed)
            fail(std::string(option) + " " + text + ": must be longer than zero");
    }

    void conflicts(const map_options& o) {
        if (w_.keep_going && o.fail_fast)
            fail("--keep-going and --fail-fast contradict each other; leave one out");
        if (o.tty && o.jobs > 1) fail("--tty is for one job at a time; write -j1, or leave -j out");
        if (o.tty && o.results) fail("--tty leaves the output to the terminal; leave out --results");
        if (o.tty && o.json) fail("--tty leaves the output to the terminal; leave out --json");
        if (o.tty && (o.progress == progress_style::bar || o.progress == progress_style::plain))
            fail("--tty leaves the terminal to the job; leave out --progress");
        if (o.json && o.progress == progress_style::bar)
            fail("--json and a bar would write over each other; write --progress plain or none");
        if (o.json && o.dry_run) fail("--dry-run prints commands, not events; leave out --json");
    }

    const written& w_;
    const option_table& given_;
    std::optional<problem> first_;
};

template <class Cpus>
parsed parse_map(words arguments, Cpus cpus) {
    constexpr std::string_view who = "tenure map";
    written w;
    option_table table(w);
    auto split = split_words(arguments, table.shapes());
    if (!split) return usage_error(who, split.why());
    table.parse(std::move(split->options));
    if (w.help) return exit_with{0, std::string(map_help), {}};
    if (w.version) return version();

    run_map run;
    map_options& o = run.options;
    if (auto wrong = reader(w, table).read(o, table.given("--jobs") || w.tty ? 1 : cpus()))
        return usage_error(who, wrong->text);
    if (split->command.empty())
        return usage_error(who, "no command; write for example: tenure map gzip -k ::: *.log");
    o.command = std::move(split->command);
    if (o.command.front().empty()) return usage_error(who, "the name of the command is empty");

    if (split->items && table.given("--from"))
        return usage_error(who, "items come from ::: or from --from, not both");
    if (split->items) {
        o.origin = item_origin::list;
        o.items = std::move(*split->items);
    } else if (table.given("--from") && w.from != "-") {
        o.origin = item_origin::file;
        o.from = w.from;
    }
    if (o.tty && o.origin == item_origin::standard_input)
        return usage_error(who,
                           "--tty gives standard input to the job; give the items after ::: or with --from");
    return run;
}

template <class Cpus>
parsed parse_all(int argc, const char* const* argv, Cpus cpus) {
    constexpr std::string_view who = "tenure";
    const words all(argv, static_cast<std::size_t>(argc < 0 ? 0 : argc));
    if (all.size() < 2) return usage_error(who, "no command; see tenure --help");
    const std::string_view first = all[1];
    if (first == "map") return parse_map(all.subspan(2), cpus);
    if (first == "--version") return version();
    if (first == "--help" || first == "-h") return exit_with{0, std::string(tenure_help), {}};
    if (first == "help") {
        const bool of_map = all.size() > 2 && std::string_view(all[2]) == "map";
        return exit_with{0, std::string(of_map ? map_help : tenure_help), {}};
    }
    constexpr std::array<std::string_view, 3> commands{"map", "--help", "--version"};
    const bool option = first.starts_with('-');
    std::string text = (option ? "unknown option " : "unknown command ") + std::string(first);
    if (const auto near = nearest_spelling(first, commands); !near.empty())
        return usage_error(who, text + "; did you mean " + std::string(near) + "?");
    return usage_error(who,
                       text + (option ? "; options of map stand after it: tenure map " + std::string(first)
                                      : std::string("; write tenure map ") + std::string(first)));
}

} // namespace

parsed parse(int argc, const char* const* argv, unsigned cpus) {
    return parse_all(argc, argv, [cpus] { return cpus; });
}

parsed parse(int argc, const char* const* argv) {
    return parse_all(argc, argv, [] { return available_cpus(); });
}

} // namespace tenure::inline v0::app
