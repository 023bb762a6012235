// ContentReader: a message's content in pieces, for whoever passes it on. What is handed out last has been
// compared with the checksum of intake, so that content damaged on the disk is never completed elsewhere:
// the reader of a piece must keep back whatever would make the message valid (the final dot, the rename)
// until next() has given the last one. Not for the loop's thread when pieces are large and the disk slow.
#pragma once

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"
#include "lib/queue/content_info.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace posthouse::queue {

class ContentReader {
public:
    // `fd` must stay open, but see detached(); its file offset is not used.
    ContentReader(int fd, const ContentInfo& content) : fd_(fd), content_(content) {}

    // Fills `into` with the next bytes and returns them; empty at the end. An Error of kind Corrupt, code
    // 4.3.0, instead of the last piece when file and intake disagree; of kind Temporary when the disk fails.
    Result<std::string_view> next(char* into, size_t size);
    // The same out of the page cache; nullopt, with nothing done, when some of it would have to come from the disk.
    Result<std::optional<std::string_view>> next_if_cached(char* into, size_t size);
    // At the same place, with a descriptor of its own: for a thread that may outlast the owner of this one's.
    Result<ContentReader> detached() const;
    bool at_end() const { return done_ == content_.size; }
    uint64_t done() const { return done_; }

private:
    size_t wanted(size_t size) const;
    Result<std::string_view> take(std::string_view piece);

    int fd_;
    std::shared_ptr<const UniqueFd> owned_; // fd_, when detached; owners: the copies of this reader
    ContentInfo content_;
    uint64_t done_ = 0;
    uint32_t sum_ = 0;
};

} // namespace posthouse::queue
