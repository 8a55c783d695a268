// Functions named by where they lie, so that another process of the same build can call them.
//
// Each function that is ever sent has a descriptor: a constant that the compiler lays down, in memory that nobody can write
// to once the program runs. Its name is (build ID of the executable or library, offset of the descriptor in it, hash of the
// signature). There is no registry, and nothing runs before main.
//
// Nothing in a name is believed. Before anything is called, the table has seen that
//   - an executable or library with that build ID is loaded here,
//   - the offset is aligned, and a whole descriptor lies there in readable memory that is not writable,
//   - what lies there says that it is a descriptor, and which address it has: that very one,
//   - it has the signature of the name.
#pragma once
#include <tenure/wire/codec.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace tenure::inline v0::wire {

struct function_name {
    std::uint64_t build;     // hash of the build ID
    std::uint64_t offset;    // bytes, from where the file's address 0 is loaded
    std::uint64_t signature; // hash of the function's type
    bool operator==(const function_name&) const = default;
};

/// Called when a result has been written, while it still lives: its segments can be sent.
struct result_written {
    void (*call)(void* context) = nullptr;
    void* context = nullptr;
};

struct function_descriptor {
    static constexpr std::uint64_t magic_value = 0x314E'4655'4E55'4E54; // TNUNUFN1
    std::uint64_t magic;
    const function_descriptor* self;
    /// Reads the arguments, which must be all that is left, calls, and writes the result.
    /// Throws: wire_error if the arguments cannot be read: then nothing was called. And what the function throws.
    void (*invoke)(reader& arguments, writer& result, result_written then);
    std::uint64_t signature;
    std::string_view name; // for people
};

/// The executables and libraries that are loaded, as far as functions can be found in them. A library whose functions are
/// named stays loaded.
/// Threads: one at a time.
class function_table {
public:
    /// Throws: wire_error if the descriptor is not in constant memory of a loaded file.
    function_name name_of(const function_descriptor& d);
    /// Throws: wire_error if there is no such function.
    const function_descriptor& find(const function_name& name);

private:
    struct constants { // [begin, end): readable, and not writable once the program runs
        std::uintptr_t begin;
        std::uintptr_t end;
        bool holds(std::uintptr_t at) const noexcept;
    };
    struct image {
        std::uintptr_t base = 0;
        std::uint64_t build = 0;
        std::string build_id;
        std::string path;
        std::vector<constants> places;
        bool holds(std::uintptr_t at) const noexcept;
    };
    friend struct image_scan;
    friend std::string build_id();

    static std::vector<image> scan();
    std::vector<image> images_;
};

/// The build ID of the executable as hexadecimal digits. One that was linked without has a hash of its code instead.
std::string build_id();

} // namespace tenure::inline v0::wire
