#include "map/shell_script.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace tenure::inline v0::app {

namespace {

constexpr std::string_view after_backslash = "after a backslash; leave it out";
constexpr std::string_view after_dollar_sign =
    "after a $; write \\$ for a dollar, or assign the item to a variable first: x={}; … \"$x\"";
constexpr std::string_view in_arithmetic = "inside ((…)), which would evaluate it; write $(expr {} + 1)";
constexpr std::string_view in_old_arithmetic = "inside or after $[…], which evaluates; write $((…))";
constexpr std::string_view in_test = "inside [[…]] or name[…], which could evaluate it; write [ … ]";
constexpr std::string_view in_braces =
    "inside ${…}; assign the item to a variable first: x={}; … \"${y:-$x}\"";
constexpr std::string_view in_ansi_quotes = "inside $'…'; write '…'";
constexpr std::string_view with_here_document =
    "in or after a here-document; assign the item to a variable before it: x={}; … $x";
constexpr std::string_view with_case =
    "after a pattern of `case` inside (…); write the pattern's first parenthesis too: (a)";
constexpr std::string_view with_nested_backquotes = "after backquotes that are nested or quoted; write $(…)";
constexpr std::string_view with_ansi_escape =
    "after \\' in $'…'; assign the item to a variable first: x={}; … \"$x\"";
constexpr std::string_view with_quotes_in_braces =
    "after quotes inside \"${…}\"; assign the item to a variable first: x={}; … \"$x\"";
constexpr std::string_view with_odd_arithmetic = "after ((…)) with quotes, comments or several lines in it; "
                                                 "assign the item to a variable first: x={}; … \"$x\"";

bool is_name(std::string_view word) {
    constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";
    return !word.empty() && word.find_first_not_of(letters) == std::string_view::npos;
}

// Reserved words after which another one may stand.
bool precedes_command(std::string_view word) {
    static constexpr std::array<std::string_view, 13> words{
        "!", "{", "}", "if", "then", "elif", "else", "fi", "while", "until", "do", "done", "time"};
    return std::find(words.begin(), words.end(), word) != words.end();
}

} // namespace

bool quoting_tracker::holds_commands(kind what) noexcept {
    return what == kind::script || what == kind::parens || what == kind::backquotes;
}

quoting_tracker::where quoting_tracker::at() const noexcept {
    switch (levels_.back().what) {
    case kind::single_quotes:
    case kind::ansi_quotes: return where::single_quotes;
    case kind::double_quotes: return where::double_quotes;
    case kind::arithmetic: return where::arithmetic;
    case kind::comment: return where::comment;
    case kind::script:
    case kind::parens:
    case kind::backquotes:
    case kind::braces: break;
    }
    return where::bare;
}

std::string_view quoting_tracker::refusal(bool number) const noexcept {
    if (!lost_.empty()) return lost_;
    if (at() == where::comment) return {};
    if (escaped_ || raw_escaped_) return after_backslash;
    if (dollar_) return after_dollar_sign;
    if (less_ == 2) return with_here_document;
    for (auto here = levels_.rbegin();; ++here) {
        if (here->what == kind::braces) return in_braces;
        if (here->what == kind::ansi_quotes) return in_ansi_quotes;
        if (here->what == kind::arithmetic && !number) return in_arithmetic;
        if (!holds_commands(here->what)) continue;
        return (here->evaluated || here->subscripts > 0) && !number ? in_test : std::string_view{};
    }
}

std::string_view quoting_tracker::unfinished() const noexcept {
    if (!lost_.empty()) return {};
    auto last = levels_.rbegin();
    if (last->what == kind::comment) ++last;
    switch (last->what) {
    case kind::script: return {};
    case kind::parens: return "(";
    case kind::backquotes: return "`";
    case kind::braces: return "${";
    case kind::arithmetic: return "((";
    case kind::single_quotes:
    case kind::ansi_quotes: return "'";
    case kind::double_quotes: return "\"";
    case kind::comment: break;
    }
    return {};
}

void quoting_tracker::lose(std::string_view why) {
    if (lost_.empty()) lost_ = why;
}

void quoting_tracker::push(kind what) {
    level inner;
    inner.what = what;
    if (holds_commands(what)) begin_command();
    levels_.push_back(inner);
}

void quoting_tracker::begin_command() {
    word_.clear();
    word_begins_ = command_begins_ = true;
}

void quoting_tracker::end_word() {
    if (word_.empty()) return;
    level& here = levels_.back();
    if (here.evaluated && word_ == "]]") here.evaluated = false;
    if (command_begins_) {
        if (word_ == "case")
            ++here.cases;
        else if (word_ == "[[")
            here.evaluated = true;
        const bool ends_case = word_ == "esac";
        if (ends_case && here.cases > 0) --here.cases;
        command_begins_ = ends_case || precedes_command(word_);
    }
    word_.clear();
}

// $(… ${… `… and $[… mean the same between double quotes, in arithmetic and in the open.
void quoting_tracker::expansion(char c, bool after_dollar) {
    if (c == '`') {
        word_ += '?';
        push(kind::backquotes);
    } else if (c == '$') {
        dollar_ = !after_dollar; // $$ is complete
    } else if (after_dollar && c == '(') {
        push(kind::parens);
        levels_.back().in_word = levels_.back().fresh = true;
    } else if (after_dollar && c == '{') {
        push(kind::braces);
    } else if (after_dollar && c == '[') {
        lose(in_old_arithmetic);
    }
}

void quoting_tracker::open_parenthesis(bool fresh, bool after_dollar) {
    if (fresh) { // $((…)), ((…)), or a subshell inside another one, which the shell itself cannot tell at once
        const bool in_word = levels_.back().in_word;
        levels_.back() = level{};
        levels_.back().what = kind::arithmetic;
        levels_.back().in_word = in_word;
        levels_.back().open = 2;
        word_begins_ = true;
        return;
    }
    if (after_dollar) return expansion('(', after_dollar);
    const bool array = word_.ends_with('=');
    if (!array) end_word();
    const bool evaluated = levels_.back().evaluated || levels_.back().subscripts > 0;
    push(kind::parens);
    levels_.back().fresh = !array;
    levels_.back().in_word = levels_.back().array = array;
    levels_.back().evaluated = evaluated;
}

void quoting_tracker::close_parenthesis() {
    end_word();
    const level ended = levels_.back();
    if (ended.what == kind::parens) {
        if (ended.cases > 0) return lose(with_case); // the end of a pattern, or of the parentheses
        levels_.pop_back();
    }
    begin_command();
    if (ended.in_word) {
        word_ = '?';
        word_begins_ = command_begins_ = false;
    }
}

void quoting_tracker::bare(char c, bool after_dollar) {
    level& here = levels_.back();
    const bool fresh = std::exchange(here.fresh, false);
    const unsigned less = std::exchange(less_, 0);
    if (less == 2 && c != '<') lose(with_here_document);
    const bool word_began = std::exchange(word_begins_, false);
    switch (c) {
    case '\'':
        word_ += '?';
        push(after_dollar ? kind::ansi_quotes : kind::single_quotes);
        break;
    case '"':
        word_ += '?';
        push(kind::double_quotes);
        break;
    case '#':
        if (word_began)
            push(kind::comment);
        else
            word_ += '#';
        break;
    case '(': open_parenthesis(fresh, after_dollar); break;
    case ')': close_parenthesis(); break;
    case ' ':
    case '\t':
        end_word();
        word_begins_ = true;
        break;
    case '\n':
    case ';':
    case '&':
    case '|':
        end_word();
        here.subscripts = 0;
        begin_command();
        break;
    case '<':
    case '>':
        end_word();
        less_ = c == '<' ? less + 1 : 0;
        word_begins_ = true;
        break;
    default:
        if (c == '[' && (here.subscripts > 0 || is_name(word_) || (here.array && word_.empty())))
            ++here.subscripts;
        else if (c == ']' && here.subscripts > 0)
            --here.subscripts;
        word_ += c == '$' ? '?' : c;
        expansion(c, after_dollar);
        break;
    }
}

void quoting_tracker::braces(char c, bool after_dollar) {
    if (c == '}') {
        levels_.pop_back();
    } else if (c == '"' || c == '\'') {
        // Inside other quotes it depends on the shell, and on what stands before, whether these are any.
        if (!holds_commands(levels_[levels_.size() - 2].what)) lose(with_quotes_in_braces);
        push(c == '"' ? kind::double_quotes : kind::single_quotes);
    } else {
        expansion(c, after_dollar);
    }
}

// Nothing in it may tell it from a subshell inside another one.
void quoting_tracker::arithmetic(char c, bool after_dollar) {
    level& here = levels_.back();
    const bool word_began = std::exchange(word_begins_, c == ' ' || c == '\t' || c == '(' || c == ')');
    if (c == '(' && !after_dollar) {
        ++here.open;
    } else if (c == ')') {
        if (--here.open > 0) return;
        const bool in_word = here.in_word;
        levels_.pop_back();
        begin_command();
        if (in_word) {
            word_ = '?';
            word_begins_ = command_begins_ = false;
        }
    } else if (c == '"') {
        push(kind::double_quotes);
    } else if (c == '\'' || c == '\n' || c == ';' || (c == '#' && word_began)) {
        lose(with_odd_arithmetic);
    } else {
        expansion(c, after_dollar);
    }
}

void quoting_tracker::take(char c) {
    if (escaped_) {
        escaped_ = false;
        if (c == '\n') return;
        if (c == '\'' && levels_.back().what == kind::ansi_quotes) lose(with_ansi_escape);
        word_ += '?';
        dollar_ = word_begins_ = levels_.back().fresh = false;
        return;
    }
    const kind what = levels_.back().what;
    const bool has_escapes = what != kind::single_quotes && what != kind::comment;
    if (has_escapes && c == '\\') {
        escaped_ = true; // the rest stays: a newline may follow, and then neither is there
        return;
    }
    const bool after_dollar = std::exchange(dollar_, false);
    switch (what) {
    case kind::single_quotes:
    case kind::ansi_quotes:
        if (c == '\'') levels_.pop_back();
        return;
    case kind::double_quotes:
        if (c == '"')
            levels_.pop_back();
        else
            expansion(c, after_dollar);
        return;
    case kind::braces: return braces(c, after_dollar);
    case kind::arithmetic: return arithmetic(c, after_dollar);
    case kind::comment:
        if (c != '\n') return;
        levels_.pop_back();
        return bare(c, false);
    case kind::script:
    case kind::parens:
    case kind::backquotes: return bare(c, after_dollar);
    }
}

// The first one without a backslash ends them, whatever quotes it stands in.
void quoting_tracker::end_backquotes() {
    if (levels_.back().what == kind::comment) levels_.pop_back();
    if (levels_.back().what != kind::backquotes || escaped_ || less_ == 2)
        return lose(with_nested_backquotes);
    levels_.pop_back();
    word_ = '?';
    dollar_ = word_begins_ = command_begins_ = false;
}

void quoting_tracker::feed(char c) {
    const auto quoted = std::find_if(levels_.begin(), levels_.end(),
                                     [](const level& l) { return l.what == kind::backquotes; });
    if (quoted == levels_.end()) return take(c);
    if (!raw_escaped_) {
        if (c == '\\')
            raw_escaped_ = true;
        else if (c == '`')
            end_backquotes();
        else
            take(c);
        return;
    }
    // The shell takes these backslashes away before it reads what is inside.
    raw_escaped_ = false;
    const kind around = std::prev(quoted)->what;
    if (c == '\n') return;
    if (c == '`' || (c == '"' && !holds_commands(around) && around != kind::double_quotes))
        return lose(with_nested_backquotes);
    if (c != '\\' && c != '$' && (c != '"' || around != kind::double_quotes)) take('\\');
    take(c);
}

std::string variable_in(quoting_tracker::where where, std::string_view name) {
    std::string variable = "${" + std::string(name) + "}";
    switch (where) {
    case quoting_tracker::where::double_quotes:
    case quoting_tracker::where::arithmetic: return variable;
    case quoting_tracker::where::single_quotes: return "'\"" + variable + "\"'";
    case quoting_tracker::where::bare:
    case quoting_tracker::where::comment: break;
    }
    return "\"" + variable + "\"";
}

} // namespace tenure::inline v0::app
