#pragma once

#include "cli/checked.hpp"
#include "cli/options.hpp"
#include "map/item.hpp"
#include "map/owned_fd.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tenure::inline v0::app {

/// The items of a run, in order, from `:::` or cut out of bytes that the engine reads and feeds.
/// Lines: each ends with a newline (the last one may lack it); empty lines are skipped; everything else, a
/// carriage return too, belongs to the item. With -0 each item ends with a NUL byte; an empty item is an
/// item, except that nothing after the last NUL is none. Memory: what was fed and not yet taken, so feed only
/// while wants_bytes(); of an item longer than `keep_bytes` only the beginning is kept, with its true length
/// beside it, as no command could take it.
class item_source {
public:
    static constexpr std::size_t buffer_bytes = 64 * 1024;
    static constexpr std::size_t keep_bytes = 256 * 1024;

    /// A list: all items are there at once.
    static item_source of_list(std::vector<std::string> items);

    /// Bytes will be fed; `separator` is '\n' or '\0'.
    static item_source of_bytes(char separator);

    /// What the options ask for; bytes are fed for a file and for standard input.
    static item_source of(map_options& options);

    /// True when next() has nothing to give and more bytes may come.
    bool wants_bytes() const;

    /// Takes a chunk of input. Precondition: wants_bytes().
    void feed(std::string_view bytes);

    /// End of input: what stands after the last separator is the last item.
    void finish();

    /// The next item, or nothing: then either wants_bytes() or exhausted().
    std::optional<item> next();

    /// Every item has been taken and no more will come.
    bool exhausted() const;

    /// Number of items, once it is known: at once for a list, after finish() and the last item otherwise.
    std::optional<std::uint64_t> total() const;

private:
    item_source() = default;
    std::optional<std::string> cut();

    std::vector<std::string> list_;
    std::string buffer_;       // fed, not yet cut
    std::size_t at_ = 0;       // buffer_ before this has been taken
    std::size_t searched_ = 0; // no separator in [at_, searched_)
    std::string partial_;      // beginning of an item whose end has not been fed
    std::uint64_t partial_bytes_ = 0;
    std::uint64_t cut_bytes_ = 0; // true length of the item just cut
    std::uint64_t taken_ = 0;
    char separator_ = '\n';
    bool is_list_ = false;
    bool finished_ = false;
};

/// Opens what items are read from: the file of --from (`-` is standard input) or standard input itself.
/// Blocks: only where open(2) does, on a FIFO that nobody writes to yet.
/// The problem names the file and the reason.
checked<owned_fd> open_items(const map_options& options);

} // namespace tenure::inline v0::app
