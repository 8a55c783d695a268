// What workers print, and what is left of one that dies.
#include <tenure/tenure.hpp>

#include <cstdio>
#include <iostream>
#include <map>

using tenure::fn;
using tenure::task;

int load(int part) {
    std::cout << "loading part " << part << "\n";
    if (part != 3) return part;
    std::fputs("part 3 has no header\n", stderr);
    std::abort();
}

task<> app() {
    {
        // Each line as "[worker 4711] loading part 1", on our own standard output.
        tenure::processes workers({.workers = 2, .output = tenure::worker_output::tagged});
        (void)co_await workers.call(fn<&load>, 1);
    }

    std::map<int, int> lines; // of standard output, of standard error
    {
        const auto count = [&](const tenure::worker_line& line) {
            ++lines[line.fd];
        }; // pid, fd, text, complete
        tenure::processes workers({.workers = 2, .on_output = count});
        (void)co_await workers.call(fn<&load>, 2);
        try {
            (void)co_await workers.call(fn<&load>, 3);
        } catch (const tenure::worker_died& e) {
            std::cout << "it said: " << e.stderr_tail();
            std::cout << (e.backtrace().find("load(int)") != std::string::npos ? "it ended in load()\n" : "");
        }
    } // when the pool is closed, all lines have come
    std::cout << lines[1] << " and " << lines[2] << " lines\n";
}

int main() { return tenure::run(app, {.threads = 1}); }
