// Workers, and now and then their supervisor, are killed at drawn moments while calls go through. Every call is right or has
// failed with worker_died; none is lost, and none was run twice: the workers count in memory that outlives them.
// For about a second; TENURE_KILL_STORM=10000: until there were so many kills, and 25 times as many calls.
#include "stress.hpp"

#include <tenure/io/epoll_driver.hpp>
#include <tenure/process/enter_worker.hpp>
#include <tenure/process/pool.hpp>

#include <csignal>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace {
using namespace stress;
using tenure::process::pool;
using tenure::process::worker_died;
using tenure::wire::fn;

constexpr std::size_t most_calls = 10'000'000;
std::atomic<std::uint8_t>* executions = nullptr; // of call i, in a file that all workers map

void map_counters(const std::string& file) {
    const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0 || ::ftruncate(fd, most_calls) != 0) throw std::runtime_error("cannot open " + file);
    void* at = ::mmap(nullptr, most_calls, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    ::close(fd);
    if (at == MAP_FAILED) throw std::runtime_error("cannot map " + file);
    executions = static_cast<std::atomic<std::uint8_t>*>(at);
}
std::uint64_t count_and_square(std::uint64_t i) {
    executions[i].fetch_add(1);
    if (i % 5 == 1) ::usleep(static_cast<unsigned>(i % 300)); // so that some are hit in the middle
    return i * i;
}
std::string count_and_repeat(std::uint64_t i, const std::string& text) {
    executions[i].fetch_add(1);
    return text + text;
}

std::uint64_t wanted_kills() {
    const char* const given = std::getenv("TENURE_KILL_STORM");
    return given ? std::strtoull(given, nullptr, 10) : 0;
}

TEST(KillStorm, F08_EveryCallIsRightOrHasFailedAndNoneRanTwice) {
    const std::string file = testing::TempDir() + "tenure-storm-" + std::to_string(::getpid());
    map_counters(file);
    std::uint64_t next = 0;
    std::uint64_t kills = 0;
    std::uint64_t died = 0;
    {
        runtime rt({.threads = 2, .io = std::make_unique<tenure::io::epoll_driver>()});
        pool p(rt, {.workers = 3,
                    .initializer = tenure::process::initializer(fn<&map_counters>, file),
                    .grace = 5ms});
        int rounds = 0;
        auto round = [&](int) {
            dice d(static_cast<unsigned>(rounds++));
            std::atomic<int> open{0};
            std::atomic<std::uint64_t> failed{0};
            std::atomic<int> ended{0};
            auto one = [&](std::uint64_t i) -> task<> {
                const counted while_open(open);
                try {
                    if (i % 16 == 3) {
                        const std::string text(1 + i % 3000, 'x');
                        const std::string both = co_await p.call(fn<&count_and_repeat>, i, text);
                        EXPECT_EQ(both.size(), 2 * text.size());
                    } else {
                        const std::uint64_t square = co_await p.call(fn<&count_and_square>, i);
                        EXPECT_EQ(square, i * i);
                    }
                } catch (const worker_died&) {
                    ++failed;
                }
                ++ended;
            };
            auto scope = [&](group g) -> task<> {
                const std::uint64_t until = std::min<std::uint64_t>(next + 50 + d(150), most_calls);
                std::vector<future<void>> all;
                for (; next < until; ++next)
                    all.push_back(g.spawn(one, next));
                for (int seen = 0; open > 0;) {
                    co_await sleep_for(d.upto(400us));
                    if (ended == seen) continue; // or else no worker would ever be up
                    seen = ended;
                    const auto now = p.status();
                    const bool the_supervisor = d(40) == 0;
                    const pid_t victim = the_supervisor ? now.supervisor
                                         : now.workers.empty()
                                             ? 0
                                             : now.workers[d(static_cast<unsigned>(now.workers.size()))];
                    if (victim != 0 && ::kill(victim, SIGKILL) == 0) ++kills;
                }
            };
            auto body = [&]() -> task<> { co_await with_group(scope); };
            rt.block_on(body);
            died += failed;
        };
        do
            for_a_while(round);
        while ((kills < wanted_kills() || next < 25 * wanted_kills()) && next < most_calls && !HasFailure());
        EXPECT_LT(next, most_calls);
    }
    for (std::uint64_t i = 0; i < next; ++i)
        EXPECT_LE(executions[i].load(), 1) << "call " << i << " ran twice";
    RecordProperty("calls", static_cast<int>(next));
    RecordProperty("kills", static_cast<int>(kills));
    RecordProperty("died", static_cast<int>(died));
    std::printf("seed %u: %llu calls, %llu kills, %llu calls died with their workers\n", seed(),
                static_cast<unsigned long long>(next), static_cast<unsigned long long>(kills),
                static_cast<unsigned long long>(died));
    EXPECT_LE(died, kills * 3); // a supervisor takes all its workers along
    ::munmap(executions, most_calls);
    ::unlink(file.c_str());
}

} // namespace

int main(int argc, char** argv) {
    if (const auto status = tenure::process::enter_worker()) return *status;
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
