// FileSet: the contents of a few files that belong together, taken at one moment: a certificate and its key. What
// reads them may have rights that who uses them has not. Contents count as secret: they are wiped, and never logged.
#pragma once

#include "lib/base/result.h"
#include "lib/base/secret.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse {

class FileSet {
public:
    class Entry {
    public:
        Entry(std::string its_path, Secret its_content, std::string its_fault)
            : path(std::move(its_path)), content(std::move(its_content)), fault(std::move(its_fault))
        {
        }
        std::string path;
        Secret content;
        std::string fault; // why there is no content: "open /x: Permission denied"
    };
    // What stat(2) says of each file, links followed: as long as two of them are equal, nothing was replaced.
    using Signature = std::vector<uint64_t>;

    // Reads each of them, following symbolic links; duplicates once. A directory stands for all regular files in it,
    // one after the other, by name. Longer than `limit` bytes is a fault of that path alone.
    static FileSet read(const std::vector<std::string>& paths, size_t limit = 4 << 20);
    static Signature signature(const std::vector<std::string>& paths);

    void add(Entry entry) { entries_.push_back(std::move(entry)); }
    const std::vector<Entry>& entries() const { return entries_; }
    // The view lives as long as the set. An Error for what could not be read, or is not in the set.
    Result<std::string_view> content(std::string_view path) const;

private:
    std::vector<Entry> entries_;
};

} // namespace posthouse
