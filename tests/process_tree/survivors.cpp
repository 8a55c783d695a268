#include "survivors.hpp"

#include "describe_process.hpp"
#include "proc/guard.hpp"
#include "test_engine.hpp"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <new>
#include <poll.h>
#include <random>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tenure::inline v0::app::testing {

namespace {

constexpr unsigned load_slots = 4;

/// Memory that the processes of a round share with the test.
struct round_board {
    std::atomic<pid_t> engine;
    std::array<std::atomic<pid_t>, load_slots> wardens;
    std::atomic<unsigned> ended; // items
};

/// The engine of a round: keeps every slot busy until its guard has gone.
int load_engine(const engine_context& context, round_board& board, int witness) {
    board.engine = getpid();
    test_engine engine(load_slots, context.cgroup, context.registry);
    bool guard_gone = false;
    engine.watch(context.guard_pidfd, [&] { guard_gone = true; });
    const auto start = [&](unsigned slot) {
        while (!engine.run(slot, {zoo(), "mix"}, {.timeout = 5s, .grace = 100ms}, witness))
            pause_for(1ms);
        board.wardens[slot] = engine.wardens()[slot].pid();
    };
    for (unsigned slot = 0; slot < load_slots; ++slot)
        start(slot);
    engine.until(
        [&] {
            for (unsigned slot = 0; slot < load_slots; ++slot) {
                if (engine.slot(slot).ended) ++board.ended;
                if (engine.slot(slot).ended ||
                    (!engine.wardens()[slot].alive() && !engine.slot(slot).burying))
                    start(slot);
            }
            return guard_gone;
        },
        10min);
    engine.wardens().end_now();
    return 0;
}

class round {
public:
    explicit round(bool cgroup) {
        void* memory =
            mmap(nullptr, sizeof(round_board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) std::abort();
        board_ = new (memory) round_board{};
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) < 0) std::abort();
        witness_.reset(ends[0]);
        io::unique_fd held(ends[1]);
        std::fflush(nullptr); // or the guard would write what is buffered once more
        guard_ = fork();
        if (guard_ < 0) std::abort();
        if (guard_ == 0) {
            setpgid(0, 0);
            witness_.reset();
            _exit(run_guard({load_slots, cgroup}, [&](const engine_context& context) {
                return load_engine(context, *board_, held.get());
            }));
        }
        setpgid(guard_, guard_);
    }
    round(const round&) = delete;
    round& operator=(const round&) = delete;
    ~round() { munmap(board_, sizeof *board_); }

    const round_board& board() const noexcept { return *board_; }

    bool started() const { return wait_for_items(1); }

    void kill_victim(victim who) const {
        const pid_t engine = board_->engine;
        switch (who) {
        case victim::guard: signal_process(guard_, SIGKILL); break;
        case victim::engine: signal_process(engine, SIGKILL); break;
        case victim::warden: signal_process(board_->wardens[0], SIGKILL); break;
        case victim::guard_engine:
            signal_process(guard_, SIGKILL);
            signal_process(engine, SIGKILL);
            break;
        case victim::engine_guard:
            signal_process(engine, SIGKILL);
            signal_process(guard_, SIGKILL);
            break;
        case victim::group: signal_group(guard_, SIGKILL); break;
        }
    }

    /// The slot of the dead warden works again.
    bool goes_on() const { return wait_for_items(board_->ended + 20); }

    /// Returns: false when a process of the round, other than wardens, is left after `limit`. It counts how often this process
    /// could look: where nobody gets the CPU, those who end the others do not get it either.
    bool all_gone(int limit_ms) const {
        constexpr int look = 10;
        for (int waited = 0; waited < limit_ms; waited += look) {
            pollfd event{witness_.get(), 0, 0};
            if (poll(&event, 1, look) > 0 && (event.revents & POLLHUP) != 0) return true;
        }
        return false;
    }

    /// Who is left, and for how long it lives on: watched for half a minute.
    std::string what_survived() const {
        std::string told;
        const auto began = std::chrono::steady_clock::now();
        for (int looks = 0; looks < 30; ++looks) {
            const std::string now = describe_processes(holders_of_pipe(witness_.get()));
            const auto after = std::chrono::steady_clock::now() - began;
            told += "\n " + std::to_string(after / 1ms) + " ms later:" + (now.empty() ? " none" : now);
            if (all_gone(looks < 10 ? 100 : 1400))
                return told + "\n gone " + std::to_string((std::chrono::steady_clock::now() - began) / 1ms) +
                       " ms later";
        }
        return told + "\n never gone";
    }

    /// The run's cgroup: whoever ends last removes it.
    bool cgroup_left() const {
        const auto text = [](const char* file) {
            std::ifstream in(file);
            return std::string(std::istreambuf_iterator<char>(in), {});
        };
        const std::string own = own_cgroup(text("/proc/self/mountinfo"), text("/proc/self/cgroup"));
        return !own.empty() && access((own + "/tenure-" + std::to_string(guard_)).c_str(), F_OK) == 0;
    }

private:
    bool wait_for_items(unsigned count) const {
        for (int waited = 0; waited < 10'000; ++waited) {
            if (board_->ended >= count) return true;
            pause_for(1ms);
        }
        return false;
    }

    round_board* board_ = nullptr;
    io::unique_fd witness_;
    pid_t guard_ = -1;
};

} // namespace

std::string kill_in_rounds(victim who, unsigned rounds, bool cgroup) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    const char* given = std::getenv("TENURE_STRESS_SEED");
    std::mt19937 random(given != nullptr ? static_cast<unsigned>(std::atoi(given)) : std::random_device{}());
    sigset_t child_signal;
    sigemptyset(&child_signal);
    sigaddset(&child_signal, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child_signal, nullptr); // for sweep()
    std::string trouble;
    for (unsigned i = 0; i < rounds && trouble.empty(); ++i) {
        const round current(cgroup);
        const std::string where = "round " + std::to_string(i) + ": ";
        if (!current.started()) {
            trouble = where + "the load did not start";
            who = victim::guard; // the only process that is known
        }
        pause_for(std::chrono::microseconds(random() % 60'000));
        current.kill_victim(who);
        if (who == victim::warden) {
            if (!current.goes_on()) trouble = where + "the run did not go on without the warden";
            current.kill_victim(victim::guard);
        }
        if (!current.all_gone(2000)) trouble = where + "a process survived 2 s" + current.what_survived();
        if (!no_child_within(2s))
            trouble += where + "a warden survived" + describe_processes(children_of(getpid()));
        if (current.cgroup_left()) trouble += where + "a cgroup was left behind";
        // Whatever survived is our child or grandchild now; only such processes are ended here.
        sweep({}, 0ns);
    }
    return trouble;
}

} // namespace tenure::inline v0::app::testing
