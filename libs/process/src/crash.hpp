// Where a worker crashed. Its signal handler notes the return addresses in the slot of the call that it runs, which holds nothing
// that is still needed; the parent puts them into words.
#pragma once
#include <tenure/process/detail/channel.hpp>

#include <array>
#include <cstdint>
#include <string>

namespace tenure::inline v0::process::detail {

/// What a slot of kind `died` holds; part of the worker protocol.
struct crash_record {
    static constexpr std::size_t most_frames = 32;
    static constexpr std::size_t most_modules = 4;
    static constexpr std::uint8_t no_module = 255;
    /// Innermost first: addresses in the module, as its symbol table has them; without a module, in the process. 0: no more.
    std::array<std::uint64_t, most_frames> addresses{};
    std::array<std::uint8_t, most_frames> modules{};        // indexes of names
    std::array<std::array<char, 48>, most_modules> names{}; // of the files, without folders; "": the program
};
static_assert(sizeof(crash_record) == inline_bytes);

/// In a worker: SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT are noted before they end it, unless something else handles them.
void note_crashes() noexcept;
/// The slot of the call that runs now; null: none.
void note_call(call_slot* running) noexcept;

/// In the parent: a line for each frame, "module+offset function"; empty if the slot holds no crash, or memory is short.
/// `same_program`: the worker ran this program, so that its functions are known.
std::string where_it_crashed(const call_slot& slot, bool same_program) noexcept;

} // namespace tenure::inline v0::process::detail
