// tenure::auto_worker: a program that links it becomes a worker of itself without a line in its main(). This function comes before
// the C library's of the same name, and calls that one with a main that enters worker mode first: as with the line in main(),
// static constructors have run by then. Not for programs that are linked statically, which have both functions.
#include <tenure/process/enter_worker.hpp>

#include <dlfcn.h>

namespace {

using main_function = int (*)(int, char**, char**);
main_function program = nullptr;

int enter_worker_first(int argc, char** argv, char** environment) {
    if (const auto status = tenure::process::enter_worker()) return *status;
    return program(argc, argv, environment);
}

} // namespace

// NOLINTBEGIN(bugprone-reserved-identifier, readability-identifier-naming): the C library's name
extern "C" int __libc_start_main(main_function main, int argc, char** argv, void (*init)(), void (*fini)(),
                                 void (*rtld_fini)(), void* stack_end);

int __libc_start_main(main_function main, int argc, char** argv, void (*init)(), void (*fini)(),
                      void (*rtld_fini)(), void* stack_end) {
    program = main;
    const auto real = reinterpret_cast<decltype(&__libc_start_main)>(dlsym(RTLD_NEXT, "__libc_start_main"));
    return real(enter_worker_first, argc, argv, init, fini, rtld_fini, stack_end);
}
// NOLINTEND(bugprone-reserved-identifier, readability-identifier-naming)
