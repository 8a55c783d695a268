#include <tenure/wire/function_table.hpp>

#include <algorithm>
#include <cstring>
#include <elf.h>
#include <exception>
#include <link.h>
#include <span>

// The memory of a file is read as it lies: between two objects it is poisoned.
#define TENURE_READS_IMAGES __attribute__((no_sanitize("address", "undefined"), noinline))

namespace tenure::inline v0::wire {

namespace {

constexpr std::uint64_t hash_start = 0xcbf29ce484222325;
constexpr std::uint64_t hash_step(std::uint64_t hash, std::uint64_t v) { return (hash ^ v) * 0x100000001b3; }

std::string hexadecimal(std::span<const unsigned char> bytes) {
    std::string text;
    for (const unsigned char b : bytes) {
        constexpr std::string_view digits = "0123456789abcdef";
        text += digits[b >> 4];
        text += digits[b & 15];
    }
    return text;
}

std::string hexadecimal(std::uint64_t v) {
    unsigned char bytes[sizeof v];
    for (std::size_t i = 0; i < sizeof v; ++i)
        bytes[i] = static_cast<unsigned char>(v >> (8 * (sizeof v - 1 - i)));
    return hexadecimal(bytes);
}

/// The GNU build ID in a segment of notes; empty if it has none.
std::span<const unsigned char> build_id_in(const unsigned char* notes, std::size_t size,
                                           std::size_t alignment) {
    const auto padded = [alignment](std::size_t n) { return (n + alignment - 1) & ~(alignment - 1); };
    while (size >= sizeof(ElfW(Nhdr))) {
        ElfW(Nhdr) note;
        std::memcpy(&note, notes, sizeof note);
        const std::size_t name = sizeof note;
        const std::size_t description = padded(name + note.n_namesz);
        const std::size_t next = padded(description + note.n_descsz);
        if (description > size || note.n_descsz > size - description) break;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(notes + name, "GNU", 4) == 0)
            return {notes + description, note.n_descsz};
        if (next >= size) break;
        notes += next;
        size -= next;
    }
    return {};
}

TENURE_READS_IMAGES std::uint64_t hash_words(std::uint64_t hash, const std::uint64_t* words, std::size_t n) {
    for (std::size_t i = 0; i < n; ++i)
        hash = hash_step(hash, words[i]);
    return hash;
}

TENURE_READS_IMAGES bool is_descriptor(const function_descriptor* d) {
    return d->magic == function_descriptor::magic_value && d->self == d;
}
TENURE_READS_IMAGES bool has_signature(const function_descriptor* d, std::uint64_t signature) {
    return d->signature == signature;
}

std::string text_of(const function_name& n) {
    return "function at offset " + hexadecimal(n.offset) + " of build " + hexadecimal(n.build);
}

} // namespace

struct image_scan {
    static function_table::image read(const dl_phdr_info& info) {
        function_table::image found;
        found.base = info.dlpi_addr;
        found.path = info.dlpi_name;
        const std::span headers(info.dlpi_phdr, info.dlpi_phnum);
        const auto memory = [&](const ElfW(Phdr) & h) { return found.base + h.p_vaddr; };
        std::uint64_t code = hash_start;
        for (const auto& h : headers) {
            const bool constant = h.p_type == PT_LOAD && (h.p_flags & (PF_R | PF_W)) == PF_R;
            // What is relocated at start and then made read-only: most descriptors.
            if (constant || h.p_type == PT_GNU_RELRO)
                found.places.push_back({memory(h), memory(h) + h.p_memsz});
            if (h.p_type != PT_NOTE || !found.build_id.empty()) continue;
            // NOLINTNEXTLINE(performance-no-int-to-ptr): the loader tells addresses as numbers
            const auto id = build_id_in(reinterpret_cast<const unsigned char*>(memory(h)), h.p_memsz,
                                        h.p_align == 8 ? 8 : 4);
            for (const unsigned char b : id)
                code = hash_step(code, b);
            found.build_id = hexadecimal(id);
        }
        if (found.build_id.empty()) {
            for (const auto& h : headers)
                if (h.p_type == PT_LOAD && (h.p_flags & (PF_R | PF_W)) == PF_R)
                    code =
                        hash_words(code, reinterpret_cast<const std::uint64_t*>(memory(h)), h.p_filesz / 8);
            found.build_id = "code-" + hexadecimal(code);
        }
        found.build = code;
        return found;
    }
};

bool function_table::constants::holds(std::uintptr_t at) const noexcept {
    return at >= begin && at < end && end - at >= sizeof(function_descriptor);
}
bool function_table::image::holds(std::uintptr_t at) const noexcept {
    return std::ranges::any_of(places, [at](const constants& c) { return c.holds(at); });
}

std::vector<function_table::image> function_table::scan() {
    struct result {
        std::vector<image> images;
        std::exception_ptr failure;
    } found;
    // The loader holds a lock during the walk: nothing may be thrown through it.
    dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* to) {
            auto& r = *static_cast<result*>(to);
            try {
                r.images.push_back(image_scan::read(*info));
            } catch (...) {
                r.failure = std::current_exception();
                return 1;
            }
            return 0;
        },
        &found);
    if (found.failure) std::rethrow_exception(found.failure);
    return std::move(found.images);
}

function_name function_table::name_of(const function_descriptor& d) {
    const auto at = reinterpret_cast<std::uintptr_t>(&d);
    for (const bool again : {false, true}) {
        if (again || images_.empty()) images_ = scan();
        for (const image& i : images_)
            if (i.holds(at)) return {i.build, at - i.base, d.signature};
    }
    throw wire_error(
        "cannot name " + std::string(d.name) +
        ": its descriptor is in memory that can be written to; link with -z relro (the default)");
}

const function_descriptor& function_table::find(const function_name& name) {
    bool is_loaded = false;
    for (const bool again : {false, true}) {
        if (again || images_.empty()) images_ = scan();
        for (const image& i : images_) {
            if (i.build != name.build) continue;
            is_loaded = true;
            const std::uintptr_t at = i.base + name.offset;
            if (at % alignof(function_descriptor) != 0 || !i.holds(at)) continue;
            // NOLINTNEXTLINE(performance-no-int-to-ptr): readable memory of the size and alignment of a descriptor
            const auto* d = reinterpret_cast<const function_descriptor*>(at);
            if (!is_descriptor(d)) continue;
            if (!has_signature(d, name.signature))
                throw wire_error("no " + text_of(name) + " with that signature; there is " +
                                 std::string(d->name));
            return *d;
        }
        if (is_loaded) break; // the file is here and has no such function: looking again finds none either
    }
    throw wire_error(is_loaded ? "no " + text_of(name)
                               : "no " + text_of(name) +
                                     ": no such file is loaded in this process (a library must be "
                                     "loaded here before its functions are called)");
}

std::string build_id() { return function_table::scan().at(0).build_id; } // the executable comes first

} // namespace tenure::inline v0::wire
