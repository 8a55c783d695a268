// The words and the include graph of a folder of headers: `06_words_and_includes [--processes] [FOLDER]`, /usr/include by default.
// Files are looked for while others are read, by plain functions on all processors; with --processes in worker processes, so that
// one that crashes its reader would cost nothing but itself, like one that cannot be read. That is told of, and the exit status is
// 1. Ctrl-C ends all of it, in the middle of a file, too.
#include <tenure/tenure.hpp>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <memory>
#include <ranges>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace fs = std::filesystem;
using tenure::task;

using word_counts = std::unordered_map<std::string, std::size_t>;
struct header {
    fs::path path;
    word_counts words;
    std::vector<std::string> includes; // as they are written
};

/// The x of `#include <x>` and `#include "x"`; empty: it is another line.
std::string included_by(const std::string& line) {
    const auto text = [&line](std::size_t from) {
        return std::min(line.find_first_not_of(" \t", from), line.size());
    };
    const std::size_t hash = text(0), word = text(hash + 1), open = text(word + 7);
    if (line.compare(hash, 1, "#") != 0 || line.compare(word, 7, "include") != 0) return "";
    if (open == line.size() || (line[open] != '<' && line[open] != '"')) return "";
    const std::size_t close = line.find(line[open] == '<' ? '>' : '"', open + 1);
    return close == std::string::npos ? "" : line.substr(open + 1, close - open - 1);
}

header read_header(const fs::path& file) {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> in(std::fopen(file.c_str(), "rb"), std::fclose);
    int error = in ? 0 : errno;
    header h{file, {}, {}};
    std::array<char, 65536> piece{};
    std::string word, line;
    for (std::size_t n = piece.size(); error == 0 && n == piece.size();) {
        tenure::this_task::checkpoint(); // so that a long file, too, ends when the program is to end
        n = std::fread(piece.data(), 1, piece.size(), in.get());
        if (std::ferror(in.get())) error = errno;
        for (const char c : std::string_view(piece.data(), n)) {
            if (std::isalnum(static_cast<unsigned char>(c)) || c == '_')
                word += c;
            else if (!word.empty())
                ++h.words[std::exchange(word, "")];
            if (c != '\n') {
                if (line.size() < 1000) line += c;
            } else if (auto name = included_by(std::exchange(line, "")); !name.empty()) {
                h.includes.push_back(std::move(name));
            }
        }
    }
    if (error != 0) throw std::runtime_error(file.string() + ": " + std::strerror(error));
    if (!word.empty()) ++h.words[word];
    return h;
}

/// What the headers have in common, and which of them includes which.
class library {
public:
    explicit library(fs::path folder) : folder_(std::move(folder)) {}
    void add(header h) {
        for (const auto& [word, n] : h.words)
            words_[word] += n;
        numbers_.emplace(h.path.lexically_normal(), headers_.size());
        h.words.clear();
        headers_.push_back(std::move(h));
    }
    std::size_t size() const { return headers_.size(); }
    const fs::path& path(std::size_t header) const { return headers_[header].path; }
    std::vector<std::pair<std::string, std::size_t>> most_frequent(std::size_t n) const {
        std::vector<std::pair<std::string, std::size_t>> most(std::min(n, words_.size()));
        const auto first = [](const auto& a, const auto& b) {
            return a.second != b.second ? a.second > b.second : a.first < b.first;
        };
        std::partial_sort_copy(words_.begin(), words_.end(), most.begin(), most.end(), first);
        return most;
    }
    /// Once all are there.
    void link() {
        graph_.resize(size());
        for (std::size_t i = 0; i < size(); ++i)
            for (const std::string& name : headers_[i].includes)
                for (const fs::path& where : {path(i).parent_path() / name, folder_ / name})
                    if (const auto found = numbers_.find(where.lexically_normal()); found != numbers_.end()) {
                        graph_[i].push_back(found->second);
                        break;
                    }
    }
    /// How many others come with this one.
    std::size_t brings(std::size_t header) const {
        std::vector<bool> seen(size());
        std::vector<std::size_t> next{header};
        std::size_t n = 0;
        for (seen[header] = true; !next.empty(); ++n) {
            const std::size_t from = next.back();
            next.pop_back();
            for (const std::size_t to : graph_[from])
                if (!seen[to]) {
                    seen[to] = true;
                    next.push_back(to);
                }
        }
        return n - 1;
    }

private:
    struct path_hash {
        std::size_t operator()(const fs::path& p) const { return fs::hash_value(p); }
    };
    fs::path folder_;
    std::vector<header> headers_; // without their words
    word_counts words_;
    std::unordered_map<fs::path, std::size_t, path_hash> numbers_;
    std::vector<std::vector<std::size_t>> graph_;
};

bool is_file(const fs::directory_entry& e) {
    std::error_code ignored; // what cannot be looked at is no file
    return e.is_regular_file(ignored);
}

task<int> words_and_includes(tenure::runtime& rt, tenure::runner::runner& readers, fs::path folder) {
    const auto found = fs::directory_options::skip_permission_denied;
    auto files = fs::recursive_directory_iterator(folder, found) | std::views::filter(is_file);
    tenure::map_options options{.order = tenure::order::completion, .name = "read"};
    options.progress = tenure::progress_line("files");

    library all(folder);
    std::size_t unreadable = 0;
    auto headers = tenure::map_outcomes(rt, readers, std::move(files), tenure::fn<&read_header>, options);
    while (auto one = co_await headers.next()) {
        try {
            all.add(std::move(*one).value());
        } catch (const std::exception& e) {
            ++unreadable;
            std::cerr << e.what() << "\n";
        }
    }
    std::cout << all.size() << " files, " << unreadable << " unreadable\n";
    for (const auto& [word, n] : all.most_frequent(5))
        std::cout << n << " times " << word << "\n";

    // Which header brings the most others with it? Loops run in plain functions, so a task calls this one.
    all.link();
    struct best {
        std::size_t brings = 0, header = 0;
    };
    const auto search = [&] {
        const auto of = [&all](std::size_t i) { return best{all.brings(i), i}; };
        const auto more = [&all](best a, best b) {
            const bool second =
                b.brings != a.brings ? b.brings > a.brings : all.path(b.header) < all.path(a.header);
            return second ? b : a;
        };
        return tenure::reduce(rt, all.size(), best{}, of, more, {.grain = 16});
    };
    const auto in_a_task = [&](tenure::group g) -> task<best> {
        co_return co_await g.spawn(std::ref(search));
    };
    if (all.size() != 0) {
        const best most = co_await tenure::with_group(std::ref(in_a_task));
        std::cout << all.path(most.header).string() << " brings " << most.brings << " others\n";
    }
    co_return unreadable == 0 ? 0 : 1;
}

int main(int argc, char** argv) {
    const bool in_processes = argc > 1 && std::string_view(argv[1]) == "--processes";
    const int at = in_processes ? 2 : 1;
    if (argc > at + 1) {
        std::cerr << "usage: 06_words_and_includes [--processes] [FOLDER]\n";
        return 2;
    }
    const fs::path folder = argc > at ? argv[at] : "/usr/include";
    const unsigned all = std::max(1u, std::thread::hardware_concurrency());
    const auto app = [&](tenure::runtime& rt) -> task<int> {
        if (in_processes) {
            tenure::processes readers(rt, {.workers = all});
            co_return co_await words_and_includes(rt, readers, folder);
        }
        tenure::threads readers(all);
        co_return co_await words_and_includes(rt, readers, folder);
    };
    return tenure::run(app, {.threads = all});
}
