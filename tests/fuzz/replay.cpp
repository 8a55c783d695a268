// Without libFuzzer: gives each file that is named to the target, once.
#include "fuzz.hpp"

#include <fstream>
#include <iterator>
#include <vector>

int main(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
        std::ifstream file(argv[i], std::ios::binary);
        fuzz::require(file.is_open(), argv[i]);
        const std::vector<char> bytes{std::istreambuf_iterator<char>(file), {}};
        LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
    }
    std::cout << argc - 1 << " inputs\n";
    return argc > 1 ? 0 : 1;
}
