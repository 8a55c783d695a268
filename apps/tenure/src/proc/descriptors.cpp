#include "proc/descriptors.hpp"

#include <algorithm>
#include <charconv>
#include <dirent.h>
#include <string_view>
#include <sys/syscall.h>
#include <unistd.h>

namespace tenure::inline v0::app {

namespace {

bool close_between(unsigned first, unsigned last) { return syscall(SYS_close_range, first, last, 0) == 0; }

/// For a kernel or sandbox without close_range.
void close_listed(const std::vector<int>& keep) {
    DIR* listing = opendir("/proc/self/fd");
    if (listing == nullptr) return;
    std::vector<int> open;
    while (const dirent* entry = readdir(listing)) {
        const std::string_view name = entry->d_name;
        int fd = -1;
        if (std::from_chars(name.data(), name.data() + name.size(), fd).ec == std::errc{}) open.push_back(fd);
    }
    closedir(listing);
    for (const int fd : open)
        if (fd > 2 && !std::binary_search(keep.begin(), keep.end(), fd)) close(fd);
}

} // namespace

void close_all_but(std::vector<int> keep) {
    std::sort(keep.begin(), keep.end());
    unsigned from = 3;
    for (const int fd : keep) {
        if (fd < 3) continue;
        const unsigned kept = static_cast<unsigned>(fd);
        if (kept > from && !close_between(from, kept - 1)) return close_listed(keep);
        from = kept + 1;
    }
    if (!close_between(from, ~0U)) close_listed(keep);
}

} // namespace tenure::inline v0::app
