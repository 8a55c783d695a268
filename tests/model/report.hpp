// What the model tests say of an exploration.
#pragma once
#include "explorer.hpp"

#include <gtest/gtest.h>

#include <cstdio>

namespace model {

inline std::string told(const result& r) {
    std::string s = r.violation + "\n";
    for (const auto& line : r.trace)
        s += "  " + line + "\n";
    return s;
}

/// The protocol keeps its invariants in every order.
template <class Scenario>
void expect_correct(const char* name) {
    const result r = explore<Scenario>();
    EXPECT_EQ(r.violation, "") << told(r);
    EXPECT_TRUE(r.complete) << name << ": not explored to the end";
    std::printf("model: %-40s %9llu schedules, %9llu states\n", name, static_cast<unsigned long long>(r.runs),
                static_cast<unsigned long long>(r.states));
}

/// A wrong variant is caught, with these words.
template <class Scenario>
void expect_caught(const char* name, const std::string& violation) {
    const result r = explore<Scenario>();
    EXPECT_NE(r.violation.find(violation), std::string::npos) << name << ": " << told(r);
    std::printf("model: %-40s caught after %llu schedules: %s\n", name,
                static_cast<unsigned long long>(r.runs), r.violation.c_str());
}

} // namespace model
