#include <tenure/runner/detail/places.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>
#include <vector>

namespace tenure::inline v0::runner::detail {
namespace {

/// A call as the test knows it.
struct known {
    std::shared_ptr<call_turn> turn;
    known* above;
    bool lends = false;
    bool has() const { return turn->granted.is_set() && !lends; }
    bool waits() const { return !turn->granted.is_set(); }
};

/// Calls that begin, lend, go on and end in an order that the seed draws.
class random_calls {
public:
    random_calls(unsigned seed, unsigned width) : bits_(seed), width_(width), places_(width) {}

    void step() {
        switch (bits_() % 4) {
        case 0: begin(); break;
        case 1: end(); break;
        case 2: lend(); break;
        default: go_on(); break;
        }
        check();
    }
    /// Each waits for the calls below it, and ends: in the end nobody is left.
    void finish() {
        while (!calls_.empty()) {
            const std::size_t before = calls_.size();
            for (const auto& c : calls_)
                if (c->has() && has_calls_below(*c)) lend(*c);
            for (std::size_t i = calls_.size(); i-- > 0;)
                if (calls_[i]->lends && !has_calls_below(*calls_[i])) take_back(*calls_[i]);
            for (std::size_t i = calls_.size(); i-- > 0;)
                if (calls_[i]->has() && !has_calls_below(*calls_[i])) leave(i);
            check();
            ASSERT_LT(calls_.size(), before) << "nobody can go on";
        }
    }

private:
    static bool is_below(const known& c, const known& other) {
        for (const known* k = c.above; k; k = k->above)
            if (k == &other) return true;
        return false;
    }
    bool has_calls_below(const known& other) const {
        return std::any_of(calls_.begin(), calls_.end(), [&](const auto& c) { return is_below(*c, other); });
    }
    template <class Wanted>
    known* draw(Wanted wanted) {
        std::vector<known*> found;
        for (const auto& c : calls_)
            if (wanted(*c)) found.push_back(c.get());
        return found.empty() ? nullptr : found[bits_() % found.size()];
    }
    void begin() {
        known* above = bits_() % 2 == 0 ? nullptr : draw([](const known& c) { return c.has(); });
        auto c = std::make_unique<known>();
        c->turn = std::make_shared<call_turn>(places_, above ? above->turn : nullptr);
        c->above = above;
        places_.enter(c->turn);
        calls_.push_back(std::move(c));
    }
    void lend() {
        if (known* c = draw([](const known& k) { return k.has(); })) lend(*c);
    }
    void lend(known& c) {
        c.lends = true;
        places_.lend(*c.turn);
    }
    // Nobody can have its place then, so that this does not block.
    void go_on() {
        if (known* c = draw([this](const known& k) { return k.lends && !has_calls_below(k); })) take_back(*c);
    }
    void end() {
        known* c = draw([this](const known& k) { return !k.lends && !has_calls_below(k); });
        for (std::size_t i = 0; i < calls_.size(); ++i)
            if (calls_[i].get() == c) return leave(i);
    }
    void take_back(known& c) {
        places_.take_back(*c.turn);
        c.lends = false;
    }
    void leave(std::size_t i) {
        places_.leave(*calls_[i]->turn);
        calls_.erase(calls_.begin() + static_cast<std::ptrdiff_t>(i));
    }
    void check() {
        unsigned have = 0, lend = 0;
        for (const auto& c : calls_) {
            have += c->has();
            lend += c->lends;
        }
        ASSERT_LE(have, width_);
        for (const auto& c : calls_) {
            if (!c->waits()) continue;
            ASSERT_GE(have + lend, width_) << "a place is free, and a call waits";
            for (const known* lender = c->above; lender; lender = lender->above) {
                if (!lender->lends) continue;
                const auto got_it = [&](const auto& k) { return !k->waits() && is_below(*k, *lender); };
                ASSERT_TRUE(std::any_of(calls_.begin(), calls_.end(), got_it))
                    << "a place is lent and unused, and a call waits that may have it";
            }
        }
    }
    std::mt19937 bits_;
    const unsigned width_;
    places places_;
    std::vector<std::unique_ptr<known>> calls_;
};

TEST(Places, AreNeverTooManyAndNobodyWaitsForOneThatIsThere) {
    for (unsigned seed = 0; seed < 300; ++seed) {
        SCOPED_TRACE(seed);
        random_calls calls(seed, 1 + seed % 3);
        for (int i = 0; i < 200; ++i)
            calls.step();
        calls.finish();
        if (HasFatalFailure()) return;
    }
}

} // namespace
} // namespace tenure::inline v0::runner::detail
