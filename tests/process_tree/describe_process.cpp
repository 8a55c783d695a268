#include "describe_process.hpp"

#include <algorithm>
#include <array>
#include <dirent.h>
#include <fstream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string_view>
#include <unistd.h>

namespace tenure::inline v0::app::testing {

namespace {

std::string text_of(const std::string& file) {
    std::ifstream in(file);
    std::string text(std::istreambuf_iterator<char>(in), {});
    while (!text.empty() && (text.back() == '\n' || text.back() == '\0'))
        text.pop_back();
    for (char& c : text)
        if (c == '\0' || c == '\n') c = ' ';
    return text;
}
/// Of /proc/PID/status.
std::string field(const std::string& folder, std::string_view name) {
    std::ifstream in(folder + "/status");
    for (std::string line; std::getline(in, line);)
        if (line.starts_with(name) && line.size() > name.size() && line[name.size()] == ':')
            return line.substr(std::min(line.find_first_not_of(" \t", name.size() + 1), line.size()));
    return "?";
}
/// Of /proc/PID/stat, counted from 1 as in proc(5), behind the name.
std::string stat_field(const std::string& folder, int number) {
    const std::string stat = text_of(folder + "/stat");
    std::istringstream rest(stat.substr(std::min(stat.rfind(')') + 1, stat.size())));
    std::string word = "?";
    for (int i = 3; i <= number; ++i)
        rest >> word;
    return word;
}
std::string link_of(const std::string& file) {
    std::array<char, 256> target{};
    const auto length = ::readlink(file.c_str(), target.data(), target.size());
    return {target.data(), length > 0 ? static_cast<std::size_t>(length) : 0};
}
std::vector<std::string> names_in(const std::string& folder) {
    std::vector<std::string> names;
    const auto close = [](DIR* d) { ::closedir(d); };
    const std::unique_ptr<DIR, decltype(close)> dir(::opendir(folder.c_str()), close);
    while (const dirent* entry = dir ? ::readdir(dir.get()) : nullptr)
        names.emplace_back(entry->d_name);
    return names;
}

} // namespace

std::string describe_process(pid_t pid) {
    const std::string folder = "/proc/" + std::to_string(pid);
    if (::access(folder.c_str(), F_OK) != 0) return {};
    std::ostringstream line;
    line << "pid " << pid << " parent " << field(folder, "PPid") << " state " << field(folder, "State")
         << " started " << stat_field(folder, 22) << " ticks after boot, used " << stat_field(folder, 14)
         << "+" << stat_field(folder, 15) << " ticks; schedstat (ran ns, waited ns, slices) "
         << text_of(folder + "/schedstat") << "; nice " << stat_field(folder, 19) << "; pending "
         << field(folder, "SigPnd") << "/" << field(folder, "ShdPnd") << " blocked "
         << field(folder, "SigBlk") << "; wchan " << text_of(folder + "/wchan") << "; cgroup "
         << text_of(folder + "/cgroup") << "; " << field(folder, "Name") << ": "
         << text_of(folder + "/cmdline");
    return line.str();
}

std::vector<pid_t> holders_of_pipe(int end) {
    const std::string pipe = link_of("/proc/self/fd/" + std::to_string(end));
    std::vector<pid_t> found;
    for (const std::string& name : names_in("/proc")) {
        if (name.find_first_not_of("0123456789") != std::string::npos || name == std::to_string(::getpid()))
            continue;
        const std::string descriptors = "/proc/" + name + "/fd/";
        const auto all = names_in(descriptors);
        if (std::any_of(all.begin(), all.end(),
                        [&](const std::string& one) { return link_of(descriptors + one) == pipe; }))
            found.push_back(static_cast<pid_t>(std::stol(name)));
    }
    return found;
}

std::string describe_processes(const std::vector<pid_t>& pids) {
    std::string lines;
    for (const pid_t pid : pids)
        if (const std::string one = describe_process(pid); !one.empty()) lines += "\n  " + one;
    return lines;
}

} // namespace tenure::inline v0::app::testing
