#pragma once

#include "map/out_channel.hpp"
#include "map/owned_fd.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace tenure::inline v0::app {

enum class stream : unsigned char { out, err };

/// Where captured output goes that does not fit into memory.
/// `open` gives a nameless file open for reading and writing, or an empty descriptor with errno set.
struct spill_place {
    std::string name; ///< for messages: a folder
    std::function<owned_fd()> open;
};

/// $TMPDIR, or /tmp when it is unset or empty.
spill_place temporary_files();

/// A nameless file in `folder` (O_TMPFILE; made and unlinked where the file system has no such thing).
/// Returns: an empty descriptor with errno set on failure.
owned_fd open_nameless(const std::string& folder, mode_t mode);

enum class drain_state {
    waiting, ///< the pipe is empty, and somebody may still write to it
    ended,   ///< every writer has closed it
    more,    ///< the budget is used up; there may be more
};

/// What one item has written so far: up to `memory_bytes` of each stream in memory, all of a longer one in a
/// file. Output that cannot be kept (disk full) is dropped and trouble() says why; the pipe is still drained,
/// so that the item never waits for us.
class item_output {
public:
    static constexpr std::size_t memory_bytes = 64 * 1024;
    static constexpr std::size_t drain_budget = 1024 * 1024;

    /// `place` is borrowed and must outlive this.
    explicit item_output(const spill_place& place) : place_(&place) {}

    /// Takes what the non-blocking pipe `fd` holds now, at most about drain_budget bytes.
    drain_state drain(stream s, int fd);

    void append(stream s, std::string_view bytes);

    /// Forgets everything, trouble included: the attempt will be repeated.
    void discard();

    /// Moves what is in memory into files, to give the memory back while the item waits for its turn.
    void park();

    std::uint64_t size(stream s) const noexcept { return kept(s).size; }
    bool empty() const noexcept { return size(stream::out) + size(stream::err) == 0; }

    std::size_t memory() const noexcept; ///< bytes held in memory
    unsigned files() const noexcept;     ///< files held open

    /// Why output was lost; empty when none was.
    const std::string& trouble() const noexcept { return trouble_; }

    /// All of the stream when file(s) is -1.
    std::string_view in_memory(stream s) const noexcept { return kept(s).memory; }

    /// The file that holds all of the stream, from offset 0; -1 when it is in memory.
    int file(stream s) const noexcept { return kept(s).file.get(); }

private:
    struct keeper {
        std::string memory;
        owned_fd file;
        std::uint64_t size = 0; // bytes in memory or in the file
        bool lost = false;      // part of the stream could not be kept
        bool can_splice = true; // the file system can take pages from a pipe
    };

    keeper& kept(stream s) noexcept { return streams_[static_cast<std::size_t>(s)]; }
    const keeper& kept(stream s) const noexcept { return streams_[static_cast<std::size_t>(s)]; }
    void take(keeper& k, std::string_view bytes);
    int spill(keeper& k);
    void lose(keeper& k, int error);

    const spill_place* place_;
    std::array<keeper, 2> streams_;
    std::string trouble_;
};

/// One step of handing output on.
struct release_step {
    send_state state = send_state::done;
    stream at = stream::out;
    int error = 0;
};

/// Hands the output of one item on to tenure's own stdout and stderr, step by step, never blocking.
class output_release {
public:
    static constexpr std::uint64_t step_bytes = 8 * 1024 * 1024;

    explicit output_release(item_output&& output) : output_(std::move(output)) {}

    /// Goes on writing, at most about step_bytes. Call it until finished().
    /// would_block: first wait until the channel of the stream `at` is writable.
    /// closed or failed: what is left of the stream `at` has been given up; the other one is still to come.
    release_step step(out_channel& out, out_channel& err);

    bool finished() const noexcept { return stream_ == 2; }

private:
    item_output output_;
    unsigned stream_ = 0;
    std::uint64_t done_ = 0; // bytes of the current stream already written
};

} // namespace tenure::inline v0::app
