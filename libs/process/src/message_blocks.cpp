#include <tenure/base/error.hpp>
#include <tenure/process/detail/message_blocks.hpp>

#include <cstring>
#include <limits>
#include <new>

namespace tenure::inline v0::process::detail {
namespace {

// Never looked at from a coroutine, which may be on another thread after an await.
thread_local keeps_blocks* innermost = nullptr;

class private_block final : public shared_block {
public:
    explicit private_block(std::size_t bytes)
        : shared_block({static_cast<std::byte*>(::operator new(bytes, alignment)), bytes}) {}
    ~private_block() override { ::operator delete(bytes_.data(), alignment); }

private:
    static constexpr std::align_val_t alignment{64};
};

enum class how : std::uint8_t { copied = 0, handed_over = 1 };

} // namespace

keeps_blocks::keeps_blocks(block_keeper& k, const wire::writer* w, const wire::reader* r) noexcept
    : keeper_(k), writer_(w), reader_(r), outer_(innermost) {
    innermost = this;
}
keeps_blocks::~keeps_blocks() { innermost = outer_; }
block_keeper* keeps_blocks::of(const wire::writer& w) noexcept {
    return innermost && innermost->writer_ == &w ? &innermost->keeper_ : nullptr;
}
block_keeper* keeps_blocks::of(const wire::reader& r) noexcept {
    return innermost && innermost->reader_ == &r ? &innermost->keeper_ : nullptr;
}

base::ref<shared_block> new_private_block(std::size_t n, std::size_t each) {
    if (n > std::numeric_limits<std::size_t>::max() / 2 / each) throw std::bad_array_new_length();
    return base::ref<shared_block>::adopt(new private_block(n * each));
}

void write_block(wire::writer& w, const base::ref<shared_block>& b, std::size_t each, std::string_view type) {
    if (!b)
        throw base::usage_error(std::string(type) + ": it has no memory and cannot be passed: it was passed "
                                                    "before (make another one, by pool::buffer(), "
                                                    "or let the call return it), or never had any");
    block_keeper* const keeper = keeps_blocks::of(w);
    if (const auto place = keeper ? keeper->send(b) : std::nullopt) {
        w.fixed(how::handed_over);
        w.fixed(*place);
        w.fixed<std::uint64_t>(b->bytes().size());
        return;
    }
    w.fixed(how::copied);
    w.block(b->bytes().size() / each, b->bytes().data(), b->bytes().size());
}

base::ref<shared_block> read_block(wire::reader& r, std::size_t each, std::string_view type) {
    const auto kind = r.fixed<std::uint8_t>(type);
    if (kind == static_cast<std::uint8_t>(how::handed_over)) {
        const auto place = r.fixed<std::uint64_t>(type);
        const auto bytes = r.fixed<std::uint64_t>(type);
        block_keeper* const keeper = keeps_blocks::of(r);
        auto found = keeper && bytes % each == 0 ? keeper->receive(place, bytes) : nullptr;
        if (!found) r.fail(type, "its memory did not come with the message");
        return found;
    }
    if (kind != static_cast<std::uint8_t>(how::copied)) r.fail(type, "it is neither copied nor handed over");
    const auto found = r.block(each, true, type);
    auto b = new_private_block(static_cast<std::size_t>(found.count), each);
    if (found.count != 0) std::memcpy(b->bytes().data(), found.from, b->bytes().size());
    return b;
}

} // namespace tenure::inline v0::process::detail
