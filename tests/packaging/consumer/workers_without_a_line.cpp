// A program that has worker processes by linking tenure::auto_worker: its main() does not know.
#include <tenure/tenure.hpp>

#include <unistd.h>

namespace {

pid_t who() { return ::getpid(); }
tenure::task<pid_t> ask() {
    tenure::processes workers({.workers = 1});
    const pid_t worker = co_await workers.call(tenure::fn<&who>);
    co_return worker;
}

} // namespace

int main() {
    tenure::runtime rt{{.threads = 1}};
    return rt.block_on(ask) != ::getpid() ? 0 : 1;
}
