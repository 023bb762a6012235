// Reading content and its checksum at once: see content_reader.h.
#include "lib/queue/content_reader.h"

#include "lib/base/crc32c.h"
#include "lib/base/file.h"

#include <algorithm>

namespace posthouse::queue {

Result<std::string_view> ContentReader::next(char* into, size_t size)
{
    const auto want = static_cast<size_t>(std::min<uint64_t>(content_.size - done_, size));
    if (want == 0)
        return std::string_view();
    const auto got = pread_full(fd_, into, want, content_.offset + done_);
    if (!got)
        return Error(ErrorKind::Temporary, "4.3.0", "cannot read the queue file").because_of(got.error());
    if (*got != want)
        return Error(ErrorKind::Corrupt, "4.3.0", "damaged queue file: it ends within the content");
    const std::string_view piece(into, want);
    sum_ = crc32c(sum_, piece);
    done_ += want;
    if (at_end() && sum_ != content_.crc32c)
        return Error(ErrorKind::Corrupt, "4.3.0", "damaged queue file: the content does not agree with its checksum");
    return piece;
}

} // namespace posthouse::queue
