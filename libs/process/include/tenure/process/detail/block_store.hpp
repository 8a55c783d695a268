// The memory that a pool shares with all its workers, for what is large: a message is written there once, and read where it lies.
//
// A block is the pool's process's: it takes them and gives them back, and tells a worker where one lies. Who may touch its bytes
// is in docs/reference/worker_protocol.md, "The block store".
#pragma once
#include <tenure/base/mutex.hpp>
#include <tenure/base/ref.hpp>
#include <tenure/io/unique_fd.hpp>
#include <tenure/wire/writer.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <sys/types.h>

namespace tenure::inline v0::process::detail {

/// Places of blocks in a range of bytes. The lowest that is large enough is taken, so that few pages serve many blocks.
/// Threads: one at a time.
class block_places {
public:
    explicit block_places(std::uint64_t bytes);
    /// Empty: there is no room. Throws: std::bad_alloc.
    std::optional<std::uint64_t> take(std::uint64_t bytes);
    /// The block keeps its first bytes.
    void trim(std::uint64_t place, std::uint64_t bytes) noexcept;
    void give_back(std::uint64_t place) noexcept;

private:
    struct range {
        std::uint64_t bytes;
        bool taken;
    };
    std::map<std::uint64_t, range> ranges_; // one beside the other; no two free ones
};

class block_store;

/// Bytes that live as long as somebody refers to them.
class shared_block : public base::ref_counted {
public:
    std::span<std::byte> bytes() const noexcept { return bytes_; }
    /// Null: none.
    virtual const block_store* store() const noexcept { return nullptr; }

protected:
    explicit shared_block(std::span<std::byte> bytes) noexcept : bytes_(bytes) {}
    std::span<std::byte> bytes_;
};

/// Owner: the mapping; a block keeps its store. What is not used has addresses only, and the first kept_bytes (channel.hpp) of it
/// go on having memory once they were used.
/// Threads: any.
class block_store final : public base::ref_counted {
public:
    /// Null: the system has not got that many addresses, descriptors or bytes of a file to give.
    static base::ref<block_store> make(std::uint64_t bytes);
    /// Of a worker, which takes no blocks. Throws: std::system_error.
    static base::ref<block_store> attach(io::unique_fd fd);

    /// Null: there is no room now. Throws: std::bad_alloc.
    base::ref<shared_block> take(std::uint64_t bytes);
    void trim(shared_block& b, std::uint64_t bytes) noexcept;
    std::uint64_t place_of(const shared_block& b) const noexcept {
        return static_cast<std::uint64_t>(b.bytes().data() - memory_.data());
    }
    std::span<std::byte> bytes() const noexcept { return memory_; }
    int fd() const noexcept { return fd_.get(); }

private:
    class block;
    block_store(io::unique_fd fd, std::span<std::byte> memory);
    ~block_store() override;
    void give_back(std::span<std::byte> bytes) noexcept;
    static std::span<std::byte> map(int fd, std::uint64_t bytes) noexcept;

    const io::unique_fd fd_;
    const std::span<std::byte> memory_;
    const pid_t owner_; // a process that was forked from it takes none, and gives nothing back
    base::mutex m_;
    block_places places_ TENURE_GUARDED_BY(m_);
};

/// The memory of a message that may become large: a block of its own.
class message_memory final : public wire::memory_source {
public:
    /// The store outlives it. Null: it is never asked.
    explicit message_memory(block_store* store) noexcept : store_(store) {}
    std::span<std::byte> move_to_larger(std::span<const std::byte> message, std::size_t bytes) override;
    const base::ref<shared_block>& block() const noexcept { return block_; }
    void trim(std::uint64_t bytes) noexcept { store_->trim(*block_, bytes); }
    void let_go() noexcept { block_ = nullptr; }

private:
    block_store* store_;
    base::ref<shared_block> block_;
};

} // namespace tenure::inline v0::process::detail
