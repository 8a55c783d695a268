#include <tenure/wire/writer.hpp>

#include <algorithm>
#include <new>

namespace tenure::inline v0::wire {

void writer::grow(std::size_t n) {
    const std::size_t used = size();
    if (n > std::numeric_limits<std::size_t>::max() / 4 - used) throw std::bad_alloc();
    const std::size_t capacity =
        std::max({std::size_t{256}, 2 * static_cast<std::size_t>(end_ - begin_), used + n});
    if (source_ && used + n >= large_from_) {
        // Room for what comes after the one large thing that a message mostly has: it costs addresses only.
        const auto larger = source_->move_to_larger(message(), capacity + capacity / 8);
        if (!larger.empty()) {
            owned_.reset();
            begin_ = larger.data();
            at_ = begin_ + used;
            end_ = begin_ + larger.size();
            return;
        }
    }
    auto bigger = std::make_unique_for_overwrite<std::byte[]>(capacity);
    if (used != 0) std::memcpy(bigger.get(), begin_, used);
    owned_ = std::move(bigger);
    begin_ = owned_.get();
    at_ = begin_ + used;
    end_ = begin_ + capacity;
}

void writer::fail(std::string_view type, std::string_view why) const {
    throw wire_error("cannot write " + std::string(type) + " at offset " + std::to_string(size()) + ": " +
                         std::string(why),
                     size());
}

} // namespace tenure::inline v0::wire
