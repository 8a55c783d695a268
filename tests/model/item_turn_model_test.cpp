// Whose turn a batch's items are (runner/item_turn.hpp), the real code: each item is ended or given up, never both, and
// a job that was given up writes nothing any more.
#include "report.hpp"

#include <tenure/runner/item_turn.hpp>

#include <array>

namespace {

using real_turn = tenure::runner::basic_item_turn<model::atomic>;
constexpr std::size_t items = 2;

/// A job runs both items; the watch looks twice and gives up what it sees running; from then on a second job goes on.
template <class Turn>
class stuck_job {
public:
    explicit stuck_job(model::world& w) {
        w.thread("job", [this] { run(0, 0); });
        w.thread("watch", [this] {
            for (int looks = 0; looks < 2; ++looks) {
                const auto seen = turn.look();
                if (!turn.give_up(seen)) continue;
                put(seen.index(), timed_out);
                go_on_from = seen.index() + 1;
                go_on_turn = seen.turn() + 1;
                given_up += 1;
                return;
            }
            watched = 1;
        });
        w.thread("second job", [this] {
            model::here->point([this] { return given_up || watched; });
            if (given_up) run(static_cast<std::uint32_t>(go_on_turn), static_cast<std::size_t>(go_on_from));
        });
    }
    void at_end() {
        for (const auto& n : results)
            if (n != 1) model::here->fail("an item has no result");
    }

private:
    static constexpr int done = 1, timed_out = 2;
    void run(std::uint32_t mine, std::size_t from) {
        for (std::size_t k = from; k < items; ++k) {
            turn.begin(mine, k);
            if (!turn.end(mine, k)) return;
            put(k, done);
        }
    }
    void put(std::size_t k, int how) {
        model::check(k < items, "there is no such item");
        model::check(results[k] == 0, "an item has two results");
        result[k].write(how);
        results[k] += 1;
    }
    Turn turn;
    std::array<model::plain<int>, items> result;
    std::array<model::shared, items> results;
    model::shared go_on_from, go_on_turn, given_up, watched;
};

// Wrong variants.

/// Looks whether it was given up, and then ends the item.
struct ends_in_two_steps : real_turn {
    bool end(std::uint32_t turn, std::size_t) { return look().turn() == turn; }
};
/// Gives up what may have ended since it was seen.
struct gives_up_blindly : real_turn {
    bool give_up(seen s) {
        if (!s.running()) return false;
        begin(s.turn() + 1, s.index() + 1);
        return true;
    }
};

TEST(ItemTurnModel, EachItemHasOneResult) {
    model::expect_correct<stuck_job<real_turn>>("item turn: a job that is given up");
}
TEST(ItemTurnModel, CatchesAnEndInTwoSteps) {
    model::expect_caught<stuck_job<ends_in_two_steps>>("end in two steps", "an item has two results");
}
TEST(ItemTurnModel, CatchesGivingUpWhatHasEnded) {
    model::expect_caught<stuck_job<gives_up_blindly>>("given up blindly", "an item has two results");
}

} // namespace
