#include "proc/warden_registry.hpp"

#include <new>
#include <sys/mman.h>

namespace tenure::inline v0::app {

warden_registry::warden_registry(unsigned slots) : slots_(slots) {
    void* memory = mmap(nullptr, slots * sizeof(std::atomic<pid_t>), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return;
    pids_ = static_cast<std::atomic<pid_t>*>(memory);
    for (unsigned slot = 0; slot < slots; ++slot)
        new (&pids_[slot]) std::atomic<pid_t>(0);
}

warden_registry::~warden_registry() {
    if (valid()) munmap(pids_, slots_ * sizeof(std::atomic<pid_t>));
}

void warden_registry::set(unsigned slot, pid_t pid) noexcept {
    pids_[slot].store(pid, std::memory_order_relaxed);
}

bool warden_registry::contains(pid_t pid) const noexcept {
    for (unsigned slot = 0; slot < slots_; ++slot)
        if (pids_[slot].load(std::memory_order_relaxed) == pid) return true;
    return false;
}

} // namespace tenure::inline v0::app
