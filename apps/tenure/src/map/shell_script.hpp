#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tenure::inline v0::app {

/// Follows the quoting of a piece of shell language, byte by byte: knows whether the next byte stands between quotes.
/// Here-documents and quotes inside ${…} or case patterns are not followed; a wrong guess can cost a literal quote or
/// a split word, but never lets a value be read as shell language, because values stand in variables.
class quoting_tracker {
public:
    enum class where : unsigned char { bare, single_quotes, double_quotes, comment };

    /// Of the next byte.
    where at() const noexcept { return nested_.empty() ? where::bare : nested_.back().state; }

    void feed(char c);

private:
    struct level {
        where state = where::bare;
        std::size_t open = 0; // parentheses open inside this $(…)
    };

    void bare(char c);

    std::vector<level> nested_{level{}}; // "… $( … " … ) …" nests
    bool escaped_ = false;               // after a backslash
    bool dollar_ = false;                // after a $
    bool word_begins_ = true;            // a # here begins a comment
};

/// "${name}" so that it gives the variable's value as one word, or part of one, wherever it is put.
std::string variable_in(quoting_tracker::where where, std::string_view name);

} // namespace tenure::inline v0::app
