// What the tests of runners call, here or elsewhere.
#pragma once
#include <tenure/base/clock.hpp>
#include <tenure/runner/travelling_key.hpp>
#include <tenure/wire/view.hpp>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace runner_conformance {

struct record {
    std::string name;
    std::vector<int> values;
    std::map<std::string, double> inner;
    bool operator==(const record&) const = default;
};
struct scaled {
    int by;
    std::string unit;
    std::string operator()(int x) const { return std::to_string(x * by) + unit; }
};
struct odd_error : std::runtime_error {
    using std::runtime_error::runtime_error;
};
struct odd_number {
    int value;
};

int add(int a, int b);
std::string repeated(const std::string& text, int times);
record same_record(const record& r);
std::size_t length(const tenure::wire::view<char>& text);
void nothing();
std::unique_ptr<int> plus_one(std::unique_ptr<int> p);
std::vector<std::uint64_t> reversed(const std::vector<std::uint64_t>& of);
std::vector<std::uint64_t> numbers(std::size_t many);
int fails(const std::string& what);
void throws_a_number();
tenure::base::time_point deadline_here();
inline const tenure::runner::travelling_key<std::string> trace_id{"conformance.trace_id"};
std::string trace_here();
/// Throws for multiples of 7.
int double_unless_seventh(int i, const std::string& sign);

/// Appends a byte to the file.
void leave_sign(const std::string& sign);
/// Leaves a sign; returns when it is cancelled, or its deadline has passed.
void run_until_told(const std::string& sign);
/// Leaves a sign; returns 7 when somebody else leaves one at `until`, whatever happens.
int run_until_sign(const std::string& sign, const std::string& until);
/// Leaves a sign, and returns when so many are there.
void wait_for_signs(const std::string& sign, std::size_t many);

/// How many calls of it ran at once, at most.
void count_those_at_once();
extern std::atomic<unsigned> most_at_once;

/// The files of one test.
class signs {
public:
    signs();
    signs(const signs&) = delete;
    signs& operator=(const signs&) = delete;
    ~signs();
    std::string one(const std::string& name) const { return folder_ + "/" + name; }
    static std::size_t count(const std::string& sign);

private:
    std::string folder_;
};

} // namespace runner_conformance
