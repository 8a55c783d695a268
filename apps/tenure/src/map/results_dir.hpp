#pragma once

#include "cli/checked.hpp"
#include "map/item.hpp"
#include "map/item_output.hpp"
#include "map/owned_fd.hpp"

#include <functional>
#include <string>
#include <string_view>

namespace tenure::inline v0::app {

/// The folder of --results: DIR/<seq>/{stdout,stderr,item,status}.
/// `status` is written last and renamed into place: where it is, the other three are complete.
/// DIR is made when missing, its parents too; it may be empty or hold the results of an earlier run (told by
/// the file
/// `.tenure-results`), whose items of the same number are replaced. Anything else is refused.
class results_dir {
public:
    /// Creates `name` in the folder `dir` for writing, or gives -1 and errno.
    using creator = std::function<int(int dir, const char* name)>;

    /// Opens or makes the folder. A problem is a mistake of the caller's: DIR is no folder, or holds other
    /// files. A folder that cannot be made or written to is no problem here: then trouble() says why, and
    /// every store fails.
    static checked<results_dir> open(const std::string& path, creator create = {});

    /// Why nothing can be stored; empty when things look well.
    const std::string& trouble() const noexcept { return trouble_; }

    /// Long output is spilled into the folder itself, so that store() need not copy it.
    const spill_place& spill() const noexcept { return spill_; }

    /// Stores what the item wrote and how it ended.
    /// Returns: empty, or why it could not be stored ("results not stored in DIR: No space left on device");
    /// then no status file exists and the item counts as failed.
    std::string store(const item_result& result, std::string_view item_text, item_output& output);

private:
    results_dir() = default;

    int store_stream(const std::string& name, stream s, item_output& output);
    int store_file(const std::string& name, std::string_view bytes);
    int remove_files(const std::string& prefix) const;
    bool link_spilled(int file, const std::string& name) const;

    std::string path_;
    std::string trouble_;
    owned_fd dir_;
    creator create_;
    spill_place spill_;
};

/// The text of a status file: lines of key=value; newlines and backslashes in values are escaped as in C.
std::string status_text(const item_result& result);

} // namespace tenure::inline v0::app
