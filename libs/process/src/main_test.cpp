// The tests of worker processes are programs that become workers themselves.
#include <tenure/process/enter_worker.hpp>

#include <gtest/gtest.h>

int main(int argc, char** argv) {
    if (const auto status = tenure::process::enter_worker()) return *status;
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
