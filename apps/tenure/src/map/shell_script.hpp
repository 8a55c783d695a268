#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace tenure::inline v0::app {

/// Follows the quoting of a piece of shell language, byte by byte: knows where the next byte stands, and whether an
/// item may be put there. What it does not follow (here-documents, quotes inside "${…}" …) makes it lose its place,
/// once and for all: from there on every item is refused. So an item is never split, globbed or read as language.
class quoting_tracker {
public:
    enum class where : unsigned char { bare, single_quotes, double_quotes, arithmetic, comment };

    /// Of the next byte.
    where at() const noexcept;

    /// Why no item may stand here, and how to mend it; empty when one may. A number may stand in more places.
    std::string_view refusal(bool number) const noexcept;

    /// What the script has begun and not ended; empty when nothing, and when the place is lost.
    std::string_view unfinished() const noexcept;

    void feed(char c);

    /// An item has been put here.
    void feed_item() { feed('?'); }

private:
    enum class kind : unsigned char {
        script,
        parens, // (…) and $(…)
        backquotes,
        braces, // ${…}
        arithmetic,
        single_quotes,
        ansi_quotes, // $'…'
        double_quotes,
        comment
    };

    struct level {
        kind what = kind::script;
        bool in_word = false;    // parens: what follows their end still belongs to the word
        bool array = false;      // parens: name=(…)
        bool fresh = false;      // parens: nothing has followed yet
        bool evaluated = false;  // commands: between [[ and ]]
        unsigned open = 0;       // arithmetic: parentheses
        unsigned cases = 0;      // commands: `case` without its `esac`
        unsigned subscripts = 0; // commands: name[ without its ]
    };

    static bool holds_commands(kind what) noexcept;

    void take(char c);
    void bare(char c, bool after_dollar);
    void braces(char c, bool after_dollar);
    void arithmetic(char c, bool after_dollar);
    void open_parenthesis(bool fresh, bool after_dollar);
    void close_parenthesis();
    void expansion(char c, bool after_dollar);
    void end_backquotes();
    void end_word();
    void begin_command();
    void push(kind what);
    void lose(std::string_view why);

    std::vector<level> levels_{level{}};
    std::string word_;           // of the innermost commands; what is quoted or expanded in it is a ?
    std::string_view lost_;      // why the place is lost
    unsigned less_ = 0;          // < before this byte
    bool escaped_ = false;       // after a backslash
    bool raw_escaped_ = false;   // the same, inside backquotes, which take backslashes away first
    bool dollar_ = false;        // after a $
    bool word_begins_ = true;    // a # here begins a comment
    bool command_begins_ = true; // a reserved word here is one
};

/// "${name}" so that it gives the variable's value as one word, or part of one, wherever it is put.
std::string variable_in(quoting_tracker::where where, std::string_view name);

} // namespace tenure::inline v0::app
