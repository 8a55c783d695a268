#include "map/item_source.hpp"

#include "map/text.hpp"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <utility>

namespace tenure::inline v0::app {

item_source item_source::of_list(std::vector<std::string> items) {
    item_source source;
    source.list_ = std::move(items);
    source.is_list_ = true;
    source.finished_ = true;
    return source;
}

item_source item_source::of_bytes(char separator) {
    item_source source;
    source.separator_ = separator;
    return source;
}

item_source item_source::of(map_options& options) {
    if (options.origin == item_origin::list) return of_list(std::move(options.items));
    return of_bytes(options.nul_separated ? '\0' : '\n');
}

bool item_source::wants_bytes() const { return !finished_ && searched_ == buffer_.size(); }

void item_source::feed(std::string_view bytes) {
    // Everything fed before has been searched: what is left of it is the beginning of one item.
    const std::string_view begun = std::string_view(buffer_).substr(at_);
    if (partial_.size() < keep_bytes) partial_.append(begun.substr(0, keep_bytes - partial_.size()));
    partial_bytes_ += begun.size();
    buffer_.assign(bytes);
    at_ = searched_ = 0;
}

void item_source::finish() { finished_ = true; }

// The next piece that ends with a separator, or, when the input is finished, the last one.
std::optional<std::string> item_source::cut() {
    const std::size_t end =
        searched_ < buffer_.size() ? buffer_.find(separator_, searched_) : std::string::npos;
    const bool ends = end != std::string::npos;
    if (!ends) {
        searched_ = buffer_.size();
        if (!finished_ || (at_ == buffer_.size() && partial_bytes_ == 0)) return std::nullopt;
    }
    const std::size_t stop = ends ? end : buffer_.size();
    const std::string_view rest = std::string_view(buffer_).substr(at_, stop - at_);
    cut_bytes_ = partial_bytes_ + rest.size();
    std::string text = std::exchange(partial_, {});
    text.append(rest.substr(0, keep_bytes - text.size()));
    partial_bytes_ = 0;
    at_ = searched_ = std::min(stop + 1, buffer_.size());
    return text;
}

std::optional<item> item_source::next() {
    if (is_list_) {
        if (taken_ == list_.size()) return std::nullopt;
        std::string text = std::move(list_[taken_]);
        const std::uint64_t bytes = text.size();
        return item{++taken_, std::move(text), bytes};
    }
    while (auto text = cut()) {
        if (cut_bytes_ == 0 && separator_ == '\n') continue;
        return item{++taken_, std::move(*text), cut_bytes_};
    }
    return std::nullopt;
}

bool item_source::exhausted() const {
    if (is_list_) return taken_ == list_.size();
    if (!finished_ || partial_bytes_ > 0) return false;
    // Trailing empty lines are no items.
    return separator_ == '\n' ? buffer_.find_first_not_of('\n', at_) == std::string::npos
                              : at_ == buffer_.size();
}

std::optional<std::uint64_t> item_source::total() const {
    if (is_list_) return list_.size();
    if (exhausted()) return taken_;
    return std::nullopt;
}

checked<owned_fd> open_items(const map_options& options) {
    const bool is_file = options.origin == item_origin::file;
    // Standard input gets a descriptor of its own, so that closing it never closes descriptor 0.
    owned_fd fd(is_file ? ::open(options.from.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY)
                        : ::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
    struct stat about{};
    int error = 0;
    if (!fd || ::fstat(fd.get(), &about) != 0)
        error = errno;
    else if (S_ISDIR(about.st_mode))
        error = EISDIR;
    else if ((::fcntl(fd.get(), F_GETFL) & O_ACCMODE) == O_WRONLY)
        error = EBADF;
    if (error == 0) return fd;
    return problem{"cannot read items from " + (is_file ? printable(options.from, 200) : "standard input") +
                   ": " + errno_text(error)};
}

} // namespace tenure::inline v0::app
