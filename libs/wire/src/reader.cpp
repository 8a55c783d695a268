#include <tenure/wire/reader.hpp>

namespace tenure::inline v0::wire {

void reader::finish() const {
    if (left() != 0)
        fail("the end of the message", std::to_string(left()) + " bytes are left that nobody asked for");
    if (!segments_.empty())
        fail("the end of the message",
             std::to_string(segments_.size()) + " segments are left that nobody asked for");
}

void reader::fail(std::string_view type, std::string_view why) const {
    throw wire_error("cannot read " + std::string(type) + " at offset " + std::to_string(offset()) + ": " +
                         std::string(why),
                     offset());
}

reader::elements reader::next_segment(std::uint64_t n, std::size_t size, bool copied, std::string_view type) {
    if (segments_.empty()) fail(type, "its elements are out of band, and no segment is left");
    const segment s = segments_.front();
    if (n != s.size() / size || s.size() % size != 0)
        fail(type, std::to_string(n) + " elements of " + std::to_string(size) +
                       " bytes are said to be in a segment of " + std::to_string(s.size()) + " bytes");
    if (copied) charge(n, size, type);
    segments_ = segments_.subspan(1);
    return {n, s.data()};
}

void reader::fail_truncated(std::size_t n, std::string_view type) const {
    fail(type, "it takes " + std::to_string(n) + " bytes, and " + std::to_string(left()) + " are left");
}
void reader::fail_count(std::uint64_t n, std::size_t least, std::string_view type) const {
    fail(type, std::to_string(n) + " elements of at least " + std::to_string(least) +
                   " bytes do not fit into the " + std::to_string(left()) + " bytes that are left");
}
void reader::fail_memory(std::uint64_t n, std::size_t each, std::string_view type) const {
    fail(type, std::to_string(n) + " elements of " + std::to_string(each) + " bytes are more than the " +
                   std::to_string(memory_left_) + " bytes that the message may still take in memory");
}

} // namespace tenure::inline v0::wire
