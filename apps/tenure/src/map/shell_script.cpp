#include "map/shell_script.hpp"

namespace tenure::inline v0::app {

void quoting_tracker::bare(char c) {
    level& here = nested_.back();
    switch (c) {
    case '\\': escaped_ = true; break;
    case '\'': nested_.push_back({where::single_quotes, 0}); break;
    case '"': nested_.push_back({where::double_quotes, 0}); break;
    case '#':
        if (word_begins_) nested_.push_back({where::comment, 0});
        break;
    case '(': ++here.open; break;
    case ')':
        if (here.open > 0)
            --here.open;
        else if (nested_.size() > 1)
            nested_.pop_back(); // the end of $( … ) between double quotes
        break;
    default: break;
    }
}

void quoting_tracker::feed(char c) {
    const bool after_dollar = dollar_;
    dollar_ = false;
    if (escaped_) {
        escaped_ = false;
        word_begins_ = false;
        return;
    }
    switch (at()) {
    case where::bare:
        bare(c);
        dollar_ = c == '$';
        word_begins_ =
            c == ' ' || c == '\t' || c == '\n' || c == ';' || c == '&' || c == '|' || c == '(' || c == ')';
        return;
    case where::single_quotes:
        if (c == '\'') nested_.pop_back();
        return;
    case where::double_quotes:
        if (c == '\\')
            escaped_ = true;
        else if (c == '"')
            nested_.pop_back();
        else if (c == '(' && after_dollar)
            nested_.push_back({where::bare, 0});
        dollar_ = c == '$';
        word_begins_ = c == '(';
        return;
    case where::comment:
        if (c == '\n') {
            nested_.pop_back();
            word_begins_ = true;
        }
        return;
    }
}

std::string variable_in(quoting_tracker::where where, std::string_view name) {
    std::string variable = "${" + std::string(name) + "}";
    switch (where) {
    case quoting_tracker::where::double_quotes: return variable;
    case quoting_tracker::where::single_quotes: return "'\"" + variable + "\"'";
    case quoting_tracker::where::bare:
    case quoting_tracker::where::comment: break;
    }
    return "\"" + variable + "\"";
}

} // namespace tenure::inline v0::app
