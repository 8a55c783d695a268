// Faults at moments of their own: while something starts, between two steps of a call, and where the system gives nothing.
#include "pool_test.hpp"
#include "roles.hpp"

#include <array>
#include <sched.h>
#include <stdexcept>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <vector>

namespace process_test {
class Moments : public Pools {};
namespace {

using process::detail::channel;
using process::detail::slot_state;
using process::detail::slot_word;

std::string file_of_this_test(const char* name) {
    return testing::TempDir() + "tenure-" + name + "-" + std::to_string(::getpid());
}

/// What this worker shares with its parent.
channel* own_channel() {
    std::ifstream maps("/proc/self/maps");
    for (std::string line; std::getline(maps, line);)
        if (line.find("tenure-worker") != std::string::npos)
            return reinterpret_cast<channel*>(std::stoull(line.substr(0, line.find('-')), nullptr, 16));
    throw std::runtime_error("this is no worker");
}
/// The copy of its result into the shared memory comes as far as the middle.
std::string dies_while_it_answers(std::size_t size) {
    channel* const c = own_channel();
    std::byte* const results = reinterpret_cast<std::byte*>(c) + c->header.results_at;
    if (::mprotect(results + size / 2, 4096, PROT_NONE) != 0) throw std::runtime_error("mprotect");
    ::signal(SIGSEGV, SIG_DFL);
    return std::string(size, 'x');
}
/// Another process kills it as soon as the parent can see the result.
pid_t dies_when_it_is_done() {
    channel* const c = own_channel();
    const std::uint64_t call = this_task::label().id;
    const pid_t worker = ::getpid();
    if (::fork() == 0) {
        while (c->ring.of(call).load() != slot_word(call, slot_state::done)) {}
        ::kill(worker, SIGKILL);
        ::_exit(0);
    }
    return worker;
}
void the_first_one_waits(const std::string& file) {
    const bool first = pids_in(file).empty();
    note_pid(file);
    if (first) hangs();
}
pid_t leaves_an_orphan() { // in its own process group
    int ends[2];
    if (::pipe(ends) != 0) throw std::runtime_error("no pipe");
    const pid_t child = ::fork();
    if (child == 0) {
        const pid_t orphan = ::fork();
        if (orphan == 0)
            for (;;)
                ::pause();
        (void)!::write(ends[1], &orphan, sizeof orphan);
        ::_exit(0);
    }
    pid_t orphan = 0;
    (void)!::read(ends[0], &orphan, sizeof orphan);
    ::waitpid(child, nullptr, 0);
    ::close(ends[0]);
    ::close(ends[1]);
    return orphan;
}

void notes_and_polls(const std::string& file) {
    note_pid(file);
    for (;;) {
        this_task::checkpoint();
        std::this_thread::yield();
    }
}
/// Awaits a call until a worker runs it, and drops it then.
template <class Call>
class dropped {
public:
    using tenure_operation = void;
    static constexpr bool is_checkpoint = false;
    dropped(Call call, std::string file) : call_(std::move(call)), file_(std::move(file)) {}
    bool ready() const noexcept { return false; }
    void start(core::detail::strand& s, core::detail::frame& f) {
        call_->start(s, f);
        while (pids_in(file_).empty())
            std::this_thread::yield();
        call_.reset();
        s.next = core::detail::step::resume;
    }
    void result() const noexcept {}

private:
    std::optional<Call> call_;
    std::string file_;
};

TEST_P(Moments, ACallThatIsDroppedWhileItRunsIsWaitedForByNobody) { // or else the runtime would not close
    const std::string file = file_of_this_test("dropped");
    {
        pool p(rt(), {.workers = 1, .grace = long_enough});
        auto body = [&]() -> task<> {
            co_await dropped(p.call(fn<&notes_and_polls>, file), file);
            EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3);
        };
        run(body);
    }
    EXPECT_EQ(pids_in(file).size(), 1u);
    ::unlink(file.c_str());
}

TEST_P(Moments, F01_AWorkerKilledBeforeItIsReadyIsReplacedAndTheCallGoesOn) {
    const std::string file = file_of_this_test("ready");
    pool p(rt(), {.workers = 1, .initializer = process::initializer(fn<&the_first_one_waits>, file)});
    auto body = [&]() -> task<> {
        auto calls = [&](group g) -> task<> {
            (void)g.spawn([&]() -> task<> { EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3); });
            while (pids_in(file).empty())
                co_await sleep_for(1ms);
            ::kill(pids_in(file).at(0), SIGKILL);
        };
        co_await with_group(calls);
        EXPECT_EQ(p.status().replaced, 1u);
    };
    run(body);
    ::unlink(file.c_str());
}

TEST_P(Moments, F02_AWorkerThatDiesBeforeItsStartWasHeardOfFailsOnlyTheCallThatItHad) {
    for (int i = 0; i < 20; ++i) {
        pool p(rt(), {.workers = 1});
        auto body = [&]() -> task<> {
            auto calls = [&](group g) -> task<> {
                (void)g.spawn([&]() -> task<> {
                    EXPECT_NE(co_await message_of_death(p.call(fn<&dies_by>, SIGKILL)), "");
                });
                (void)g.spawn([&]() -> task<> { EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3); });
                co_return;
            };
            co_await with_group(calls);
        };
        run(body);
    }
}

TEST_P(Moments, F04_AWorkerKilledWhileItWritesItsResultHasNotAnswered) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        try {
            (void)co_await p.call(fn<&dies_while_it_answers>, std::size_t{1} << 20);
            ADD_FAILURE();
        } catch (const worker_died& e) {
            EXPECT_EQ(e.signal(), SIGSEGV);
        }
        EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3);
    };
    run(body);
}

TEST_P(Moments, F05_AResultThatIsInTheRingCountsThoughItsWorkerDiesBeforeItTellsOfIt) {
    pool p(rt(), {.workers = 1});
    auto body = [&]() -> task<> {
        for (int i = 0; i < 20; ++i) {
            const pid_t worker = co_await p.call(fn<&dies_when_it_is_done>);
            EXPECT_GT(worker, 0);
            co_await gone(worker);
        }
        EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3);
    };
    run(body);
}

/// Takes every descriptor that this process may have.
class no_descriptors {
public:
    no_descriptors() {
        ::getrlimit(RLIMIT_NOFILE, &before_);
        const rlimit few{count_entries("/proc/self/fd") + 10, before_.rlim_max};
        ::setrlimit(RLIMIT_NOFILE, &few);
        for (int fd = 0; (fd = ::dup(0)) >= 0;)
            taken_.push_back(fd);
    }
    no_descriptors(const no_descriptors&) = delete;
    no_descriptors& operator=(const no_descriptors&) = delete;
    ~no_descriptors() {
        for (const int fd : taken_)
            ::close(fd);
        ::setrlimit(RLIMIT_NOFILE, &before_);
    }

private:
    rlimit before_{};
    std::vector<int> taken_;
};

/// While it lives the process can have so many descriptors more.
class few_descriptors {
public:
    few_descriptors(pid_t pid, int more) : pid_(pid) {
        ::prlimit(pid_, RLIMIT_NOFILE, nullptr, &before_);
        rlimit few{0, before_.rlim_max};
        for (int unused = 0; unused < more || is_open(few.rlim_cur); ++few.rlim_cur)
            unused += is_open(few.rlim_cur) ? 0 : 1;
        ::prlimit(pid_, RLIMIT_NOFILE, &few, nullptr);
    }
    few_descriptors(const few_descriptors&) = delete;
    few_descriptors& operator=(const few_descriptors&) = delete;
    ~few_descriptors() { ::prlimit(pid_, RLIMIT_NOFILE, &before_, nullptr); }

private:
    bool is_open(rlim_t fd) const {
        struct stat s{};
        return ::lstat(("/proc/" + std::to_string(pid_) + "/fd/" + std::to_string(fd)).c_str(), &s) == 0;
    }
    pid_t pid_;
    rlimit before_{};
};
bool waits(pid_t pid) {
    std::ifstream stat("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    std::getline(stat, line);
    const auto at = line.rfind(')');
    return at != std::string::npos && line[at + 2] == 'S';
}
std::size_t length_of(const std::string& s) { return s.size(); }

TEST_P(Moments, F22_ASupervisorWithoutRoomForWhatAWorkerSharesStartsNoneAndSaysSo) {
    for (const auto start : {process::start_method::zygote, process::start_method::spawn})
        for (const int more : {0, 1, 2}) {
            pool p(rt(), {.workers = 1, .start = start, .start_patience = 20ms});
            auto body = [&]() -> task<> {
                const std::string large(1 << 20, 'x');
                EXPECT_EQ(co_await p.call(fn<&length_of>, large), large.size());
                const pid_t supervisor = p.status().supervisor;
                while (p.status().workers.empty() || !waits(supervisor)) // it has closed what it was sent
                    co_await sleep_for(1ms);
                {
                    const few_descriptors few(supervisor, more);
                    (void)co_await message_of_death(p.call(fn<&dies_by>, SIGKILL));
                    try {
                        (void)co_await p.call(fn<&length_of>, large);
                        ADD_FAILURE();
                    } catch (const process::start_error& e) {
                        EXPECT_NE(std::string(e.what()).find("Too many open files"), std::string::npos)
                            << e.what();
                    }
                }
                EXPECT_EQ(co_await p.call(fn<&length_of>, large), large.size());
                EXPECT_EQ(p.status().supervisor, supervisor);
            };
            run(body);
        }
}

TEST_P(Moments, F22_AWorkerForWhichNoDescriptorIsLeftIsNotKept) {
    auto body = [&](bool with_descriptors) -> task<> {
        pool p({.workers = 1, .grace = 0s});
        std::optional<no_descriptors> none;
        if (!with_descriptors) none.emplace();
        auto calls = [&](group g) -> task<> {
            auto call = g.spawn([&]() -> task<> {
                const call_options soon{.timeout = 20ms};
                try {
                    (void)co_await p.call(soon, fn<&hangs>); // which nobody could end without a pidfd
                    ADD_FAILURE();
                } catch (const worker_died&) {
                } catch (const timeout_error&) {}
            });
            // The worker is to be heard of, or lost; its time may be over, and it gone, before anybody has looked.
            while (p.status().supervisor != 0 && p.status().workers.empty() &&
                   call.status() == task_status::pending)
                co_await sleep_for(1ms);
            none.reset();
        };
        co_await with_group(calls);
        EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3);
        EXPECT_EQ(p.status().supervisors,
                  with_descriptors ? 1u : 2u); // the first one was ended, and its worker
    };
    // UBSan needs a pipe when it meets a type's vtable for the first time: here it meets them.
    const std::system_error error(EMFILE, std::system_category());
    const std::exception& met = error;
    EXPECT_NE(std::string(met.what()), error.code().category().name());
    const auto before = count_entries("/proc/self/fd");
    for (const bool with_descriptors : {true, false}) {
        auto once = [&]() -> task<> { co_await body(with_descriptors); };
        run(once);
        while (count_entries("/proc/self/fd") != before)
            std::this_thread::yield(); // the pump, which has the last ones, may be a moment behind
    }
}

TEST_P(Moments, ACallThatFailsInTheMomentOfItsSubmissionEndsAtOnce) {
    if (GetParam() != 1) return; // the limit is the whole process's
    pool p(rt(), {.workers = 1, .start_patience = 0s});
    rlimit before{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    auto body = [&]() -> task<> {
        const pid_t worker = co_await p.call(fn<&who>);
        while (p.status().workers.empty())
            co_await sleep_for(1ms);
        ::kill(worker, SIGKILL);
        while (!p.status().workers.empty())
            co_await sleep_for(1ms);
        const rlimit little{4096, before.rlim_max}; // no worker's memory can be made
        ::setrlimit(RLIMIT_FSIZE, &little);
        int failed = 0;
        for (int i = 0; i < 9; ++i) {
            auto calls = [&](group g) -> task<> {
                auto f = g.spawn([&]() -> task<> {
                    try {
                        (void)co_await p.call(fn<&add>, 1, 2);
                        ADD_FAILURE();
                    } catch (const process::start_error& e) {
                        EXPECT_NE(std::string(e.what()).find("ulimit -f"), std::string::npos) << e.what();
                        ++failed;
                    }
                });
                co_await yield(); // it is submitted, and tries to start a worker
                f.cancel();
            };
            co_await with_group(calls);
            co_await sleep_for(21ms); // until the next one tries, too: the third in a row tells
        }
        EXPECT_GT(failed, 0);
        ::setrlimit(RLIMIT_FSIZE, &before);
        EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3);
    };
    run(body);
    ::setrlimit(RLIMIT_FSIZE, &before);
}

TEST_P(Moments, WhenTheLastCallIsWithdrawnNobodyTurnsThePool) {
    pool p(rt(), {.workers = 1, .program = {"sleep", "1000"}, .grace = 0s});
    auto body = [&]() -> task<> {
        const std::size_t before = rt().audit().tasks;
        auto calls = [&](group g) -> task<> {
            auto f = g.spawn([&]() -> task<> { (void)co_await p.call(fn<&add>, 1, 2); });
            while (p.status().workers.empty() || rt().audit().tasks != before + 2)
                co_await sleep_for(1ms);
            co_await sleep_for(20ms); // the pump waits
            f.cancel();
        };
        co_await with_group(calls);
        while (rt().audit().tasks != before)
            co_await sleep_for(1ms);
    };
    run(body);
}

TEST_P(Moments, WhatALivingWorkerKeepsInItsGroupOutlivesTheDeathOfAnotherOne) {
    pool p(rt(), {.workers = 2});
    auto body = [&]() -> task<> {
        const pid_t orphan = co_await p.call(fn<&leaves_an_orphan>);
        const pid_t its_worker = ::getpgid(orphan);
        while (p.status().workers.size() < 2)
            co_await sleep_for(1ms);
        for (const pid_t other : p.status().workers)
            if (other != its_worker) ::kill(other, SIGKILL);
        while (p.status().replaced == 0) // the supervisor looks for orphans before it tells of the death
            EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3);
        co_await sleep_for(20ms); // for a signal, had there been one, to arrive
        EXPECT_FALSE(is_gone(orphan));
        p.close();
        EXPECT_TRUE(is_gone(orphan));
    };
    run(body);
}

/// A cgroup that has so many bytes, where the system lets us make one (version 1 or 2).
class memory_cgroup {
public:
    explicit memory_cgroup(std::uint64_t bytes) {
        std::ifstream list("/proc/self/cgroup");
        for (std::string line; folder_.empty() && std::getline(list, line);) {
            const auto controllers = line.find(':') + 1;
            const auto path = line.find(':', controllers) + 1;
            const std::string which = line.substr(controllers, path - 1 - controllers);
            if (which == "memory")
                make("/sys/fs/cgroup/memory" + line.substr(path),
                     {"memory.limit_in_bytes", "memory.memsw.limit_in_bytes"}, bytes);
            else if (which.empty())
                make("/sys/fs/cgroup" + line.substr(path), {"memory.max", "memory.swap.max"}, bytes);
        }
    }
    memory_cgroup(const memory_cgroup&) = delete;
    memory_cgroup& operator=(const memory_cgroup&) = delete;
    ~memory_cgroup() {
        while (!folder_.empty() && ::rmdir(folder_.c_str()) != 0 && errno == EBUSY)
            std::this_thread::yield(); // the last one in it is being taken apart
    }
    /// Of those in it. Empty: there is none.
    std::string members() const { return folder_.empty() ? "" : folder_ + "/cgroup.procs"; }

private:
    void make(const std::string& parent, std::array<const char*, 2> limits, std::uint64_t bytes) {
        const std::string folder = parent + "/tenure-test-" + std::to_string(::getpid());
        if (::mkdir(folder.c_str(), 0700) != 0) return;
        std::ofstream memory(folder + "/" + limits[0]);
        if (memory && memory << bytes << std::flush) {
            folder_ = folder;
            std::ofstream(folder + "/" + limits[1])
                << (limits[1] == std::string("memory.swap.max") ? 0 : bytes);
        } else {
            ::rmdir(folder.c_str());
        }
    }
    std::string folder_;
};
/// More memory than it may have. False: it could not join the group.
bool fills_memory(const std::string& group, std::size_t bytes) {
    if (group.empty() || !(std::ofstream(group) << ::getpid() << std::flush)) return false;
    std::vector<char> all(bytes);
    for (std::size_t at = 0; at < bytes; at += 4096)
        const_cast<volatile char&>(all[at]) = 1;
    return true;
}

TEST_P(Moments, F12_AWorkerThatRunsOutOfMemoryCostsItsCall) {
    constexpr std::uint64_t limit = 64u << 20;
    const memory_cgroup group(limit);
    bool has_group = true;
    {
        pool p(rt(), {.workers = 2});
        auto body = [&]() -> task<> {
            try {
                has_group = co_await p.call(fn<&fills_memory>, group.members(), 4 * limit);
                EXPECT_FALSE(has_group) << "the kernel has not ended it";
            } catch (const worker_died& e) {
                EXPECT_EQ(e.signal(), SIGKILL);
            }
            EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3);
        };
        run(body);
    }
    if (has_group || takes_memory_of_its_own) return;
    // What there is without one: a limit that the worker hears of itself, and outlives.
    pool p(rt(), {.workers = 1, .memory_limit = limit});
    auto body = [&]() -> task<> {
        const pid_t worker = co_await p.call(fn<&who>);
        try {
            (void)co_await p.call(fn<&fills_memory>, "/dev/null", 4 * limit);
            ADD_FAILURE();
        } catch (const std::bad_alloc&) {}
        EXPECT_EQ(co_await p.call(fn<&who>), worker);
    };
    run(body);
}

INSTANTIATE_TEST_SUITE_P(Workers, Moments, testing::Values(1u, 4u));

// ---- whole programs

/// How the copy of this program ended that ran f.
template <class F>
int status_of_copy(F f) {
    const pid_t child = ::fork();
    if (child == 0) ::_exit(f());
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
int sum_in_a_worker(const pool_options& o = {.workers = 1}) {
    runtime rt(on_epoll(1));
    pool p(rt, o);
    auto body = [&]() -> task<int> { co_return co_await p.call(fn<&add>, 1, 2); };
    return rt.block_on(body);
}

TEST(Programs, F17_WhoseParentHasDiedMeanwhileKnows) {
    EXPECT_EQ(status_of_copy([] { return process::detail::die_with_parent(::getppid()) ? 1 : 0; }), 1);
    EXPECT_EQ(status_of_copy([] { return process::detail::die_with_parent(::getpid()) ? 1 : 0; }), 0);
}

TEST(Programs, F23_NoSharedMemoryFileSystemIsNeededAndWithoutProcThePoolSaysSo) {
    const auto opens_nothing_there = [] { // what is left to see where nothing may be mounted
        runtime rt(on_epoll(1));
        pool p(rt, {.workers = 1});
        auto body = [&]() -> task<int> { co_return co_await p.call(fn<&add>, 1, 2); };
        if (rt.block_on(body) != 3) return false;
        std::ifstream maps("/proc/self/maps");
        for (std::string line; std::getline(maps, line);)
            if (line.find("/dev/shm") != std::string::npos) return false;
        return count_channels() > 0;
    };
    EXPECT_EQ(status_of_copy([&] { return opens_nothing_there() ? 23 : 1; }), 23);
    const int status = status_of_copy([] {
        if (::unshare(CLONE_NEWNS) != 0 && ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) return 77;
        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
        if (::mount("none", "/dev/shm", "tmpfs", MS_RDONLY, "size=4k") != 0) return 77;
        if (sum_in_a_worker() != 3) return 1;
        if (::mount("none", "/proc", "tmpfs", 0, nullptr) != 0) return 77;
        try {
            return sum_in_a_worker();
        } catch (const process::start_error& e) {
            return std::string(e.what()).find("/proc must be mounted") != std::string::npos ? 23 : 2;
        }
    });
    if (status != 77) { // 77: it may not mount anything, also not for itself
        EXPECT_EQ(status, 23);
    }
}

TEST(Programs, F24_TheFileOfTheProgramMayBeReplacedWhileItRuns) {
    if (const char* const own_file = std::getenv("TENURE_TEST_COPY")) { // this is the copy
        runtime rt(on_epoll(1));
        pool p(rt, {.workers = 1});
        auto body = [&]() -> task<> {
            EXPECT_EQ(co_await p.call(fn<&add>, 1, 2), 3);
            ::unlink(own_file);
            std::ofstream(own_file) << "no program";
            EXPECT_NE(co_await message_of_death(p.call(fn<&dies_by>, SIGKILL)), "");
            EXPECT_EQ(co_await p.call(fn<&add>, 2, 2), 4);
            const pid_t supervisor = p.status().supervisor;
            EXPECT_NE(supervisor, 0);
            if (supervisor != 0) ::kill(supervisor, SIGKILL);
            if (supervisor != 0) co_await gone(supervisor);
            EXPECT_EQ(co_await p.call(fn<&add>, 2, 3), 5);
        };
        rt.block_on(body);
        return;
    }
    const std::string copy = file_of_this_test("copy");
    {
        std::ifstream from("/proc/self/exe", std::ios::binary);
        std::ofstream(copy, std::ios::binary) << from.rdbuf();
    }
    ::chmod(copy.c_str(), 0700);
    EXPECT_EQ(status_of_copy([&] {
                  ::setenv("TENURE_TEST_COPY", copy.c_str(), 1);
                  ::unsetenv("GTEST_OUTPUT");
                  ::execl(copy.c_str(), copy.c_str(), "--gtest_filter=Programs.F24*", nullptr);
                  return 126;
              }),
              0);
    ::unlink(copy.c_str());
}

/// Keeps a runtime, a pool and what was thrown there until this process ends, and ends none of them.
/// How many failures of calls it has kept by now.
template <class F>
std::size_t keep_failures(F call) {
    static runtime rt(on_epoll(1));
    static std::optional<pool> p;
    static std::vector<std::exception_ptr> kept;
    if (!p) p.emplace(rt, pool_options{.workers = 2});
    auto body = [&]() -> task<> {
        for (const char* what : {"one", "two", "three"}) {
            try {
                co_await call(*p, what);
            } catch (const std::runtime_error& e) {
                if (std::string(e.what()) == what) kept.push_back(std::current_exception());
            }
        }
    };
    rt.block_on(body);
    return kept.size();
}
void throws(const std::string& what) { throw std::runtime_error(what); }
void nests_and_throws(const std::string& file, const std::string& what) {
    note_pid(file);
    const auto n = keep_failures([](pool& p, const char* inner) { return p.call(fn<&throws>, inner); });
    if (n == 0 || n % 3 != 0) ::_exit(1);
    throw std::runtime_error(what);
}

TEST(Programs, R110_APoolInAWorkerWithKeptExceptionsDoesNotKeepTheProgramFromExiting) {
    const std::string file = file_of_this_test("nested");
    const int status = status_of_copy([&]() -> int {
        std::exit(static_cast<int>(keep_failures(
            [&](pool& p, const char* what) { return p.call(fn<&nests_and_throws>, file, what); })));
    });
    EXPECT_EQ(status, 3);
    EXPECT_EQ(pids_in(file).size(), 3u);
    for (const pid_t pid : pids_in(file))
        EXPECT_TRUE(is_gone(pid));
    ::unlink(file.c_str());
}

} // namespace
} // namespace process_test
