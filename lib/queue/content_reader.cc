// Reading content and its checksum at once: see content_reader.h.
#include "lib/queue/content_reader.h"

#include "lib/base/crc32c.h"
#include "lib/base/file.h"

#include <algorithm>
#include <cerrno>
#include <fcntl.h>
#include <sys/uio.h>

namespace posthouse::queue {

Result<std::string_view> ContentReader::next(char* into, size_t size)
{
    const size_t want = wanted(size);
    if (want == 0)
        return std::string_view();
    const auto got = pread_full(fd_, into, want, content_.offset + done_);
    if (!got)
        return Error(ErrorKind::Temporary, "4.3.0", "cannot read the queue file").because_of(got.error());
    if (*got != want)
        return Error(ErrorKind::Corrupt, "4.3.0", "damaged queue file: it ends within the content");
    return take(std::string_view(into, want));
}

Result<std::optional<std::string_view>> ContentReader::next_if_cached(char* into, size_t size)
{
    const size_t want = wanted(size);
    iovec part = {into, want};
    if (want > 0 && ::preadv2(fd_, &part, 1, static_cast<off_t>(content_.offset + done_), RWF_NOWAIT) != static_cast<ssize_t>(want))
        return std::optional<std::string_view>();
    auto piece = take(std::string_view(into, want));
    if (!piece)
        return std::move(piece.error());
    return std::optional<std::string_view>(*piece);
}

Result<ContentReader> ContentReader::detached() const
{
    ContentReader other = *this;
    other.owned_ = std::make_shared<const UniqueFd>(::fcntl(fd_, F_DUPFD_CLOEXEC, 0));
    if (!*other.owned_)
        return Error::system("duplicate the descriptor of a queue file", errno);
    other.fd_ = other.owned_->get();
    return other;
}

size_t ContentReader::wanted(size_t size) const
{
    return static_cast<size_t>(std::min<uint64_t>(content_.size - done_, size));
}

// Counts it as read.
Result<std::string_view> ContentReader::take(std::string_view piece)
{
    sum_ = crc32c(sum_, piece);
    done_ += piece.size();
    if (at_end() && sum_ != content_.crc32c)
        return Error(ErrorKind::Corrupt, "4.3.0", "damaged queue file: the content does not agree with its checksum");
    return piece;
}

} // namespace posthouse::queue
