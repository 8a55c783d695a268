#pragma once

#include "cli/checked.hpp"
#include "map/item.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace tenure::inline v0::app {

/// What execve accepts, in bytes.
struct argument_limits {
    std::size_t one = 131072;          ///< one argument with its final NUL (MAX_ARG_STRLEN: 32 pages)
    std::size_t all = 2 * 1024 * 1024; ///< arguments, environment and the pointers to them, together
    std::size_t taken = 0;             ///< of `all`, by the environment

    /// Of this process: its stack limit and the environment that children will get.
    static argument_limits of_this_process();
};

/// Why no command can be made of an item.
struct expansion_error {
    std::string detail; ///< of this item: "140000 bytes"
    std::string reason; ///< the same for every item: "longer than the system allows …"

    /// "item 7: 140000 bytes, longer than the system allows …"
    std::string text(std::uint64_t seq) const;
};

using expansion = std::variant<std::vector<std::string>, expansion_error>;

/// COMMAND with its replacement strings; makes the argv of each item.
/// {} the item · {.} without its extension · {/} its last path component · {//} its folder · {/.} the last
/// component without its extension · {#} its number; every occurrence, inside words too. When there is none,
/// {} is appended. In shell mode argv is /bin/sh -c SCRIPT sh VALUE…: the item is handed over as an argument
/// and never becomes part of the script's text, so nothing in it is read as shell language.
class command_template {
public:
    /// Why `words` cannot be a script, in one line: an item stands where the shell would split it or read it as
    /// language. Nothing when they can.
    static std::optional<problem> script_trouble(const std::vector<std::string>& words);

    /// Precondition: `words` is not empty; in shell mode there is no script_trouble() with them.
    command_template(const std::vector<std::string>& words, bool shell, argument_limits limits);

    expansion expand(const item& what) const;

    /// argv as one line that a shell reads back as the same words: for --dry-run.
    static std::string line(const std::vector<std::string>& argv);

private:
    enum class field : unsigned char { item, no_extension, base, folder, base_no_extension, number };

    /// A stretch of a word: fixed text, then perhaps a field.
    struct part {
        std::string literal;
        std::optional<field> value;
    };
    using word = std::vector<part>;

    static std::optional<field> field_at(std::string_view text, std::size_t& length);
    static word split(std::string_view text);
    static std::string value_of(field which, const item& what);
    static std::string script_text(const std::vector<std::string>& words);
    void make_script(const std::vector<std::string>& words);
    std::vector<std::string> argv_for(const item& what) const;

    std::vector<word> words_;        // plain mode
    std::string script_;             // shell mode
    std::vector<field> script_args_; // shell mode: what $1, $2 … hold
    argument_limits limits_;
    bool shell_;
};

} // namespace tenure::inline v0::app
