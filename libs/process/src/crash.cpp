#include "crash.hpp"

#include "failure.hpp"

#include <tenure/io/unique_fd.hpp>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <memory>
#include <span>
#include <string_view>
#include <ucontext.h>
#include <unistd.h>
#include <unwind.h>
#include <vector>

namespace tenure::inline v0::process::detail {
namespace {

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
constexpr bool a_sanitizer_tells = true;
#elif defined(__has_feature)
constexpr bool a_sanitizer_tells = __has_feature(thread_sanitizer) || __has_feature(address_sanitizer);
#else
constexpr bool a_sanitizer_tells = false;
#endif

// ---- in the worker: what a signal handler may do

std::atomic<call_slot*> running_call{
    nullptr};                      // relaxed: the handler runs in its thread, or ends a process that is lost
std::atomic<bool> is_noted{false}; // the first crash counts; relaxed: only one may win
pid_t noting_process = 0;          // one that a call has forked must not write into its memory

struct walk {
    crash_record& into;
    std::array<const link_map*, crash_record::most_modules> modules{};
    std::size_t frames = 0;
    bool has_begun = false; // the handler's own frames come first
};

std::uint8_t number_of(walk& w, const link_map* module) noexcept {
    for (std::size_t i = 0; i < w.modules.size(); ++i) {
        if (!w.modules[i]) {
            w.modules[i] = module;
            const char* const slash = std::strrchr(module->l_name, '/');
            std::strncpy(w.into.names[i].data(), slash ? slash + 1 : module->l_name,
                         w.into.names[i].size() - 1);
        }
        if (w.modules[i] == module) return static_cast<std::uint8_t>(i);
    }
    return crash_record::no_module;
}

void note_address(walk& w, std::uintptr_t address) noexcept {
    dl_find_object found;
    std::uint8_t module = crash_record::no_module;
    std::uintptr_t base = 0;
    if (_dl_find_object(reinterpret_cast<void*>(address), &found) == 0) {
        module = number_of(w, found.dlfo_link_map);
        if (module != crash_record::no_module) base = found.dlfo_link_map->l_addr;
    }
    w.into.addresses[w.frames] = address - base;
    w.into.modules[w.frames++] = module;
}

_Unwind_Reason_Code note_frame(_Unwind_Context* at, void* of) {
    walk& w = *static_cast<walk*>(of);
    int is_exact =
        0; // of the frame that the signal has interrupted; the others have the address to return to
    const std::uintptr_t ip = _Unwind_GetIPInfo(at, &is_exact);
    w.has_begun |= is_exact != 0;
    if (!w.has_begun) return _URC_NO_REASON;
    if (ip == 0 || w.frames == w.into.addresses.size()) return _URC_END_OF_STACK;
    note_address(w, is_exact != 0 ? ip : ip - 1); // in the call itself
    return _URC_NO_REASON;
}

// A call of what is no function has pushed where it came from, and nothing else.
void note_caller([[maybe_unused]] walk& w, [[maybe_unused]] const void* context) noexcept {
#if defined(__x86_64__)
    const auto& registers = static_cast<const ucontext_t*>(context)->uc_mcontext.gregs;
    if (registers[REG_RIP] == 0)
        note_address(w, *reinterpret_cast<const std::uintptr_t*>(registers[REG_RSP]) - 1);
#endif
}

void note_crash(int signo, siginfo_t* info, void* context) {
    const int kept = errno;
    call_slot* const slot = running_call.load(std::memory_order_relaxed);
    if (slot && getpid() == noting_process && !is_noted.exchange(true, std::memory_order_relaxed)) {
        crash_record r;
        walk w{r};
        _Unwind_Backtrace(note_frame, &w);
        if (w.frames == 0) note_caller(w, context);
        std::memcpy(slot->bytes.data(), &r, sizeof r);
        slot->kind = message_kind::died;
    }
    signal(signo,
           SIG_DFL); // a handler of the program that calls the one before it would come again and again
    errno = kept;
    // An instruction that failed fails again; what was sent is sent again.
    if (info->si_code <= 0) raise(signo);
}

// ---- in the parent

/// Names of functions, from the file's own table: static ones, too, and without any flag of the linker.
class functions_of {
public:
    /// A file that is none of ours, or cannot be read, has none.
    explicit functions_of(const char* path) : fd_(open(path, O_RDONLY | O_CLOEXEC)) {
        ElfW(Ehdr) head;
        if (!fd_ || !read_at(0, &head, sizeof head) || std::memcmp(head.e_ident, ELFMAG, SELFMAG) != 0 ||
            head.e_shentsize != sizeof(ElfW(Shdr)))
            return;
        std::vector<ElfW(Shdr)> sections(head.e_shnum);
        if (!read_at(head.e_shoff, sections.data(), sections.size() * sizeof sections[0])) return;
        for (const auto kind : {ElfW(Word){SHT_SYMTAB}, ElfW(Word){SHT_DYNSYM}})
            for (const auto& s : sections)
                if (s.sh_type == kind && s.sh_link < sections.size() && table_.empty())
                    read_table(s, sections[s.sh_link]);
    }

    /// Empty: unknown.
    std::string at(std::uint64_t address) const {
        for (const auto& s : table_)
            if ((s.st_info & 0xf) == STT_FUNC && address >= s.st_value && address - s.st_value < s.st_size &&
                s.st_name < names_.size())
                return demangled(names_.data() + s.st_name);
        return {};
    }

private:
    bool read_at(std::uint64_t offset, void* to, std::size_t bytes) const {
        return pread(fd_.get(), to, bytes, static_cast<off_t>(offset)) == static_cast<ssize_t>(bytes);
    }
    void read_table(const ElfW(Shdr) & symbols, const ElfW(Shdr) & strings) {
        constexpr std::uint64_t most = std::uint64_t{256} << 20;
        if (symbols.sh_size > most || strings.sh_size > most || strings.sh_size == 0) return;
        std::vector<ElfW(Sym)> table(symbols.sh_size / sizeof(ElfW(Sym)));
        names_.resize(strings.sh_size);
        if (!read_at(symbols.sh_offset, table.data(), table.size() * sizeof table[0]) ||
            !read_at(strings.sh_offset, names_.data(), names_.size()))
            return;
        names_.back() = '\0';
        table_ = std::move(table);
    }
    io::unique_fd fd_;
    std::vector<ElfW(Sym)> table_;
    std::vector<char> names_;
};

/// Where we have loaded the library of that name; empty: nowhere.
std::string path_of(std::string_view library) {
    struct search {
        std::string_view name;
        std::string path;
    } s{library, {}};
    dl_iterate_phdr(
        [](dl_phdr_info* info, std::size_t, void* of) {
            search& looking = *static_cast<search*>(of);
            const std::string_view path = info->dlpi_name;
            if (path.substr(path.rfind('/') + 1) != looking.name) return 0;
            looking.path = path;
            return 1;
        },
        &s);
    return s.path;
}

std::string hex(std::uint64_t n) {
    std::array<char, 16> text;
    return "0x" + std::string(text.data(), std::to_chars(text.data(), text.data() + text.size(), n, 16).ptr);
}

std::string in_words(const crash_record& r, bool same_program) {
    std::array<std::unique_ptr<functions_of>, crash_record::most_modules> functions;
    std::string text;
    for (std::size_t i = 0; i < r.addresses.size() && r.addresses[i] != 0; ++i) {
        std::string line;
        if (const std::size_t m = r.modules[i]; m < r.names.size()) {
            const std::string_view name(r.names[m].data(), strnlen(r.names[m].data(), r.names[m].size()));
            if (!functions[m]) {
                const std::string path = !name.empty() ? path_of(name) : same_program ? "/proc/self/exe" : "";
                functions[m] = std::make_unique<functions_of>(path.c_str());
            }
            line =
                name.empty() ? same_program ? program_invocation_short_name : "program" : std::string(name);
            line += "+" + hex(r.addresses[i]);
            if (const std::string function = functions[m]->at(r.addresses[i]); !function.empty())
                line += " " + function;
        } else {
            line = hex(r.addresses[i]);
        }
        text += (i == 0 ? "" : "\n") + line;
    }
    return text;
}

} // namespace

void note_crashes() noexcept {
    if (a_sanitizer_tells) return;
    static std::array<std::byte, std::size_t{64} << 10> stack; // for one that has no stack left
    noting_process = getpid();
    stack_t now{};
    if (sigaltstack(nullptr, &now) == 0 && (now.ss_flags & SS_DISABLE) != 0) {
        stack_t own{};
        own.ss_sp = stack.data();
        own.ss_size = stack.size();
        sigaltstack(&own, nullptr);
    }
    for (const int signo : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT}) {
        struct sigaction old{};
        if (sigaction(signo, nullptr, &old) != 0 || old.sa_handler != SIG_DFL)
            continue; // the program's, or a tool's
        struct sigaction ours{};
        ours.sa_sigaction = note_crash;
        ours.sa_flags = static_cast<int>(SA_SIGINFO | SA_ONSTACK | SA_RESETHAND);
        sigaction(signo, &ours, nullptr);
    }
    // Its first use may allocate and load.
    _Unwind_Backtrace([](_Unwind_Context*, void*) { return _URC_END_OF_STACK; }, nullptr);
}

void note_call(call_slot* running) noexcept { running_call.store(running, std::memory_order_relaxed); }

std::string where_it_crashed(const call_slot& slot, bool same_program) noexcept {
    if (slot.kind != message_kind::died) return {};
    crash_record r;
    std::memcpy(&r, slot.bytes.data(), sizeof r); // nothing in it is believed
    try {
        return in_words(r, same_program);
    } catch (const std::exception&) {
        return {};
    }
}

} // namespace tenure::inline v0::process::detail
