// Queue files, the writer: see queue_file.h.
#include "lib/base/cat.h"
#include "lib/base/crc32c.h"
#include "lib/queue/disk.h"
#include "lib/queue/queue_file.h"
#include "lib/queue/queue_file_format.h"
#include "lib/queue/queue_id.h"

#include <cerrno>
#include <vector>

namespace posthouse::queue {

using namespace format;

namespace {

// All of the parts, from `offset` on.
Result<void> write_parts(Disk& disk, int fd, std::vector<std::string_view> parts, uint64_t offset)
{
    size_t first = 0;
    while (first < parts.size()) {
        if (parts[first].empty()) {
            ++first;
            continue;
        }
        iovec vectors[4];
        int count = 0;
        for (size_t i = first; i < parts.size() && count < 4; ++i)
            vectors[count++] = iovec{const_cast<char*>(parts[i].data()), parts[i].size()};
        const ssize_t written = disk.pwritev(fd, vectors, count, offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return disk_error("write queue file", written < 0 ? errno : EIO);
        offset += static_cast<uint64_t>(written);
        for (auto left = static_cast<size_t>(written); left > 0;) {
            const size_t taken = std::min(left, parts[first].size());
            parts[first].remove_prefix(taken);
            left -= taken;
            if (parts[first].empty())
                ++first;
        }
    }
    return Result<void>();
}

Result<void> write_byte(Disk& disk, int fd, uint64_t offset, char value)
{
    return write_parts(disk, fd, {std::string_view(&value, 1)}, offset);
}

} // namespace

Result<void> check_envelope(const mail::Envelope& envelope)
{
    static_assert(most_recipients == mail::EnvelopeLimits().recipients);
    const auto size = mail::encoded_size(envelope);
    if (!size)
        return size.error();
    if (*size > largest_envelope)
        return Error(ErrorKind::Permanent, "5.5.3", "Error: too many recipients, or too long ones");
    return Result<void>();
}

CommitImage make_commit_image(uint64_t number, int64_t id_us, const mail::Envelope& envelope, const ContentInfo& content)
{
    CommitImage image;
    mail::encode(envelope, image.tail);
    const auto envelope_size = static_cast<uint32_t>(image.tail.size());
    const uint32_t envelope_crc = crc32c(image.tail);
    image.tail.append(envelope.recipients.size(), static_cast<char>(RecipientState::Pending));
    image.tail_offset = header_size + content.size;

    char* header = image.header.data();
    std::memcpy(header, live_magic.data(), magic_size);
    put<uint32_t>(header, version_at, format_version);
    put<uint64_t>(header, number_at, number);
    put<uint64_t>(header, id_us_at, static_cast<uint64_t>(id_us));
    put<uint64_t>(header, arrival_at, static_cast<uint64_t>(envelope.arrival_us));
    put<uint64_t>(header, content_offset_at, header_size);
    put<uint64_t>(header, content_size_at, content.size);
    put<uint32_t>(header, content_crc_at, content.crc32c);
    put<uint32_t>(header, longest_line_at, content.facts.longest_line);
    put<uint32_t>(header, facts_at, content.facts.flags());
    put<uint32_t>(header, recipient_count_at, static_cast<uint32_t>(envelope.recipients.size()));
    put<uint64_t>(header, envelope_offset_at, image.tail_offset);
    put<uint32_t>(header, envelope_size_at, envelope_size);
    put<uint32_t>(header, envelope_crc_at, envelope_crc);
    put<uint64_t>(header, states_offset_at, image.tail_offset + envelope_size);
    std::memcpy(header + id_at, envelope.id.data(), std::min(envelope.id.size(), longest_queue_id));
    header[progress_at] = progress_new;
    header[hold_at] = envelope.hold ? hold_yes : flag_no;
    header[expire_at] = static_cast<char>(Expire::No);
    header[warned_at] = flag_no;
    put<uint32_t>(header, header_crc_at, crc32c(std::string_view(header + checked_at, progress_at - checked_at)));
    return image;
}

Result<void> write_commit(Disk& disk, int fd, const CommitImage& image, std::string_view content_tail,
                          uint64_t content_tail_offset)
{
    const std::string_view header(image.header.data(), image.header.size());
    if (content_tail_offset == header_size) {
        RETURN_IF_ERROR(write_parts(disk, fd, {header, content_tail, image.tail}, 0));
    } else {
        // Streamed: most of the content is in the file already.
        RETURN_IF_ERROR(write_parts(disk, fd, {content_tail, image.tail}, content_tail_offset));
        RETURN_IF_ERROR(write_parts(disk, fd, {header}, 0));
    }
    if (disk.fdatasync(fd) != 0)
        return disk_error("sync queue file", errno);
    return Result<void>();
}

Result<void> write_content(Disk& disk, int fd, std::string_view content, uint64_t offset)
{
    return write_parts(disk, fd, {content}, offset);
}

Result<void> write_state(Disk& disk, int fd, uint64_t states_offset, uint32_t index, RecipientState state)
{
    return write_byte(disk, fd, states_offset + index, static_cast<char>(state));
}

Result<void> write_known(Disk& disk, int fd) { return write_byte(disk, fd, progress_at, progress_known); }

Result<void> write_hold(Disk& disk, int fd, bool held)
{
    return write_byte(disk, fd, hold_at, held ? hold_yes : flag_no);
}

Result<void> write_expire(Disk& disk, int fd, Expire expire)
{
    return write_byte(disk, fd, expire_at, static_cast<char>(expire));
}

Result<void> write_warned(Disk& disk, int fd) { return write_byte(disk, fd, warned_at, warned_yes); }

Result<void> write_successor(Disk& disk, int fd, std::string_view id)
{
    std::array<char, successor_at - successor_crc_at + id_size> bytes{};
    constexpr size_t id_offset = successor_at - successor_crc_at;
    std::memcpy(bytes.data() + id_offset, id.data(), std::min(id.size(), longest_queue_id));
    put<uint32_t>(bytes.data(), 0, crc32c(std::string_view(bytes.data() + id_offset, id_size)));
    return write_parts(disk, fd, {std::string_view(bytes.data(), bytes.size())}, successor_crc_at);
}

Result<void> write_free(Disk& disk, int fd) { return write_parts(disk, fd, {free_magic}, 0); }

Error disk_error(std::string what, int errno_value)
{
    const bool full = errno_value == ENOSPC || errno_value == EDQUOT || errno_value == EFBIG;
    Error cause = Error::system(std::move(what), errno_value);
    return Error(ErrorKind::Temporary, full ? "4.3.1" : "4.3.0", full ? "Insufficient system storage" : "Queue file write error")
        .because_of(std::move(cause));
}

} // namespace posthouse::queue
