// The blocks that travel with a message instead of in it: what buffers ask when they are written and read.
#pragma once
#include <tenure/process/detail/block_store.hpp>
#include <tenure/wire/reader.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace tenure::inline v0::process::detail {

/// Keeps the blocks of one message: for the pool's process the call's record, in a worker the call that runs.
class block_keeper {
public:
    /// Hands b over with the message, and says where it lies. Empty: not possible; it is copied.
    virtual std::optional<std::uint64_t> send(const base::ref<shared_block>& b) = 0;
    /// Null: none such came with the message.
    virtual base::ref<shared_block> receive(std::uint64_t place, std::uint64_t bytes) = 0;

protected:
    ~block_keeper() = default;
};

/// While it lives, `k` keeps the blocks of what this thread writes into `w` and reads from `r`. Not across an await.
class keeps_blocks {
public:
    keeps_blocks(block_keeper& k, const wire::writer* w, const wire::reader* r) noexcept;
    keeps_blocks(const keeps_blocks&) = delete;
    keeps_blocks& operator=(const keeps_blocks&) = delete;
    ~keeps_blocks();
    /// Null: nobody.
    static block_keeper* of(const wire::writer& w) noexcept;
    static block_keeper* of(const wire::reader& r) noexcept;

private:
    block_keeper& keeper_;
    const wire::writer* const writer_;
    const wire::reader* const reader_;
    keeps_blocks* const outer_;
};

/// n elements of so many bytes each, of this process alone. Throws: std::bad_alloc.
base::ref<shared_block> new_private_block(std::size_t n, std::size_t each);
/// Throws: usage_error if b is null.
void write_block(wire::writer& w, const base::ref<shared_block>& b, std::size_t each, std::string_view type);
/// Throws: wire_error.
base::ref<shared_block> read_block(wire::reader& r, std::size_t each, std::string_view type);

} // namespace tenure::inline v0::process::detail
