#pragma once

#include "map/owned_fd.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <unistd.h>
#include <vector>

// Helpers of the unit tests in this folder.
namespace tenure::inline v0::app::test {

struct test_pipe {
    test_pipe() {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) std::abort();
        read_end.reset(ends[0]);
        write_end.reset(ends[1]);
    }
    void read_non_blocking() const { ::fcntl(read_end.get(), F_SETFL, O_NONBLOCK); }
    void write(std::string_view text) const {
        if (::write(write_end.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
            std::abort();
    }

    owned_fd read_end;
    owned_fd write_end;
};

// What a descriptor gives until it is empty or at its end, at most `most` bytes.
inline std::string read_some(int fd, std::size_t most = static_cast<std::size_t>(-1)) {
    std::string text;
    std::vector<char> chunk(65536);
    while (text.size() < most) {
        const ssize_t n = ::read(fd, chunk.data(), std::min(chunk.size(), most - text.size()));
        if (n <= 0) break;
        text.append(chunk.data(), static_cast<std::size_t>(n));
    }
    return text;
}

// A text in which every piece differs from every other.
inline std::string pattern(std::size_t size) {
    std::string text;
    text.reserve(size + 16);
    for (unsigned i = 0; text.size() < size; ++i)
        text += std::to_string(i) + ",";
    text.resize(size);
    return text;
}

// A folder of its own, removed with what is in it.
class test_folder {
public:
    test_folder() {
        path_ = std::string(std::getenv("TMPDIR") ? std::getenv("TMPDIR") : "/tmp") + "/tenure_test_XXXXXX";
        if (!::mkdtemp(path_.data())) std::abort();
    }
    test_folder(const test_folder&) = delete;
    test_folder& operator=(const test_folder&) = delete;
    ~test_folder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    const std::string& path() const { return path_; }

private:
    std::string path_;
};

// SIGPIPE is ignored while this lives, as it is in the engine.
class no_sigpipe {
public:
    no_sigpipe() : before_(std::signal(SIGPIPE, SIG_IGN)) {}
    no_sigpipe(const no_sigpipe&) = delete;
    no_sigpipe& operator=(const no_sigpipe&) = delete;
    ~no_sigpipe() { std::signal(SIGPIPE, before_); }

private:
    void (*before_)(int);
};

} // namespace tenure::inline v0::app::test
