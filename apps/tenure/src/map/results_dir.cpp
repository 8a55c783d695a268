#include "map/results_dir.hpp"

#include "map/text.hpp"

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace tenure::inline v0::app {

namespace {

constexpr const char* marker = ".tenure-results";

int create_file(int dir, const char* name) {
    return ::openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
}

// mkdir -p: 0 or errno. EEXIST is left to whoever opens the folder.
int make_folders(const std::string& path) {
    for (std::size_t slash = path.find('/', 1); slash != std::string::npos;
         slash = path.find('/', slash + 1)) {
        if (::mkdir(path.substr(0, slash).c_str(), 0777) != 0 && errno != EEXIST) {
            struct stat about{};
            // A read-only parent that exists may answer EROFS or EACCES before it says that it exists.
            if (const int error = errno; ::stat(path.substr(0, slash).c_str(), &about) != 0) return error;
        }
    }
    return ::mkdir(path.c_str(), 0777) == 0 || errno == EEXIST ? 0 : errno;
}

// Whether the folder holds anything; an unreadable one counts as empty: writing to it will tell.
bool holds_files(int dir) {
    owned_fd again(::openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!again) return false;
    const std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(again.get()), &::closedir);
    if (!entries) return false;
    (void)again.release(); // entries closes it
    while (const dirent* entry = ::readdir(entries.get())) {
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") return true;
    }
    return false;
}

int write_and_close(int fd, std::string_view bytes) {
    if (fd < 0) return errno;
    int error = 0;
    while (!bytes.empty() && error == 0) {
        const ssize_t n = ::write(fd, bytes.data(), bytes.size());
        if (n >= 0)
            bytes.remove_prefix(static_cast<std::size_t>(n));
        else if (errno != EINTR)
            error = errno;
    }
    if (::close(fd) != 0 && error == 0 && errno != EINTR) error = errno; // a full disk may tell only now
    return error;
}

std::string escaped(std::string_view value) {
    std::string text;
    for (char c : value) {
        if (c == '\n')
            text += "\\n";
        else if (c == '\r')
            text += "\\r";
        else if (c == '\\')
            text += "\\\\";
        else
            text += c;
    }
    return text;
}

std::string milliseconds(std::chrono::nanoseconds d) {
    std::string text(32, '\0');
    text.resize(static_cast<std::size_t>(
        std::snprintf(text.data(), text.size(), "%.3f", static_cast<double>(d.count()) / 1e6)));
    return text;
}

} // namespace

std::string status_text(const item_result& result) {
    std::string text = "state=" + std::string(name_of(result.state)) + "\n";
    text += "exit=" + (result.exit_code >= 0 ? std::to_string(result.exit_code) : std::string()) + "\n";
    text += "signal=" + (result.signal != 0 ? signal_name(result.signal) : std::string()) + "\n";
    text += result.state == item_state::timed_out ? "timed_out=1\n" : "timed_out=0\n";
    text += "attempts=" + std::to_string(result.attempts) + "\n";
    text += "started=" + rfc3339(result.started) + "\n";
    text += "ended=" + rfc3339(result.ended) + "\n";
    text += "wall_ms=" + milliseconds(result.wall) + "\n";
    text += "cpu_ms=" + milliseconds(result.cpu) + "\n";
    std::string reason = why_failed(result);
    if (!result.detail.empty()) reason = result.detail + ", " + reason;
    text += "reason=" + escaped(reason) + "\n";
    return text;
}

checked<results_dir> results_dir::open(const std::string& path, creator create) {
    results_dir results;
    results.path_ = path;
    results.create_ = create ? std::move(create) : creator(create_file);
    const int made = make_folders(path);
    results.dir_.reset(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!results.dir_) {
        const int error = errno;
        if (error == ENOTDIR) return problem{"--results " + printable(path, 200) + ": is not a folder"};
        results.trouble_ = errno_text(made != 0 ? made : error);
    } else if (::faccessat(results.dir_.get(), marker, F_OK, 0) != 0) {
        if (holds_files(results.dir_.get())) {
            return problem{"--results " + printable(path, 200) +
                           ": holds files that are no results; name a new or an empty folder"};
        }
        const int fd = ::openat(results.dir_.get(), marker, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
        if (fd < 0)
            results.trouble_ = errno_text(errno);
        else
            ::close(fd);
    }
    if (!results.trouble_.empty())
        results.trouble_ = "results not stored in " + printable(path, 200) + ": " + results.trouble_;
    // Mode 0666: the file becomes DIR/<seq>/stdout, and the umask is the user's.
    results.spill_ = {path, [path] { return open_nameless(path, 0666); }};
    return results;
}

// Gives a nameless file its name.
bool results_dir::link_spilled(int file, const std::string& name) const {
    const std::string spilled = "/proc/self/fd/" + std::to_string(file);
    return ::linkat(AT_FDCWD, spilled.c_str(), dir_.get(), name.c_str(), AT_SYMLINK_FOLLOW) == 0;
}

int results_dir::store_file(const std::string& name, std::string_view bytes) {
    return write_and_close(create_(dir_.get(), name.c_str()), bytes);
}

int results_dir::store_stream(const std::string& name, stream s, item_output& output) {
    if (output.file(s) < 0) return store_file(name, output.in_memory(s));
    if (link_spilled(output.file(s), name)) return 0;
    owned_fd to(
        create_(dir_.get(), name.c_str())); // spilled elsewhere, or the file system cannot name such a file
    if (!to) return errno;
    const sent copied = out_channel(to.get()).copy(output.file(s), 0, output.size(s));
    return copied.state == send_state::done ? 0 : copied.error == 0 ? EIO : copied.error;
}

// Returns: 0, or the first errno.
int results_dir::remove_files(const std::string& prefix) const {
    int error = 0;
    for (const char* name : {"status", "stdout", "stderr", "item", "status.new"}) {
        if (::unlinkat(dir_.get(), (prefix + name).c_str(), 0) != 0 && errno != ENOENT && error == 0)
            error = errno;
    }
    return error;
}

std::string results_dir::store(const item_result& result, std::string_view item_text, item_output& output) {
    if (!dir_) return trouble_;
    const std::string folder = std::to_string(result.seq);
    const std::string prefix = folder + "/";
    int error = ::mkdirat(dir_.get(), folder.c_str(), 0777) == 0 ? 0 : errno;
    // An earlier run's: its status goes first, so that it never stands beside newer files.
    if (error == EEXIST) error = remove_files(prefix);
    const bool whole = output.trouble().empty();
    if (error == 0 && whole) error = store_stream(prefix + "stdout", stream::out, output);
    if (error == 0 && whole) error = store_stream(prefix + "stderr", stream::err, output);
    if (error == 0 && whole) error = store_file(prefix + "item", item_text);
    if (error == 0 && whole) error = store_file(prefix + "status.new", status_text(result));
    if (error == 0 && whole &&
        ::renameat(dir_.get(), (prefix + "status.new").c_str(), dir_.get(), (prefix + "status").c_str()) != 0)
        error = errno;
    if (error == 0 && whole) return {};
    // On a full disk the room is given back to the items that follow.
    (void)remove_files(prefix);
    ::unlinkat(dir_.get(), folder.c_str(), AT_REMOVEDIR);
    return whole ? "results not stored in " + printable(path_, 200) + ": " + errno_text(error)
                 : output.trouble();
}

} // namespace tenure::inline v0::app
