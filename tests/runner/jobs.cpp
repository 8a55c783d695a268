#include "jobs.hpp"

#include <tenure/core/this_task.hpp>

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <numeric>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

namespace runner_conformance {

int add(int a, int b) { return a + b; }
std::string repeated(const std::string& text, int times) {
    std::string all;
    while (times-- > 0)
        all += text;
    return all;
}
record same_record(const record& r) { return r; }
std::size_t length(const tenure::wire::view<char>& text) { return text.size(); }
void nothing() {}
std::unique_ptr<int> plus_one(std::unique_ptr<int> p) {
    ++*p;
    return p;
}
std::vector<std::uint64_t> reversed(const std::vector<std::uint64_t>& of) { return {of.rbegin(), of.rend()}; }
std::vector<std::uint64_t> numbers(std::size_t many) {
    std::vector<std::uint64_t> all(many);
    std::iota(all.begin(), all.end(), 0u);
    return all;
}
int fails(const std::string& what) { throw odd_error(what); }
void throws_a_number() { throw odd_number{42}; }
tenure::base::time_point deadline_here() { return tenure::core::this_task::deadline(); }
std::string trace_here() {
    const std::string* const id = tenure::core::this_task::value(trace_id);
    return id ? *id : "none";
}
int double_unless_seventh(int i, const std::string& sign) {
    leave_sign(sign);
    if (i % 7 == 0) throw odd_error("a multiple of 7");
    return 2 * i;
}

void leave_sign(const std::string& sign) {
    const int fd = ::open(sign.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    const bool written = fd >= 0 && ::write(fd, "x", 1) == 1;
    if (fd >= 0) ::close(fd);
    if (!written) throw std::runtime_error("cannot write " + sign);
}
void run_until_told(const std::string& sign) {
    leave_sign(sign);
    for (;; std::this_thread::yield())
        tenure::core::this_task::checkpoint();
}
int run_until_sign(const std::string& sign, const std::string& until) {
    leave_sign(sign);
    while (signs::count(until) == 0)
        std::this_thread::yield();
    return 7;
}
void wait_for_signs(const std::string& sign, std::size_t many) {
    leave_sign(sign);
    while (signs::count(sign) < many)
        std::this_thread::yield();
}

std::atomic<unsigned> most_at_once{0};
void count_those_at_once() {
    static std::atomic<unsigned> at_once{0};
    const unsigned now = ++at_once;
    for (unsigned most = most_at_once; now > most && !most_at_once.compare_exchange_weak(most, now);) {}
    for (int i = 0; i < 10; ++i)
        std::this_thread::yield();
    --at_once;
}

signs::signs() : folder_((std::filesystem::temp_directory_path() / "tenure-signs-XXXXXX").string()) {
    if (!::mkdtemp(folder_.data())) throw std::runtime_error("cannot make " + folder_);
}
signs::~signs() {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
}
std::size_t signs::count(const std::string& sign) {
    struct stat info{};
    return ::stat(sign.c_str(), &info) == 0 ? static_cast<std::size_t>(info.st_size) : 0;
}

} // namespace runner_conformance
