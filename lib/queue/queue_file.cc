// Queue files, format and reader: see queue_file.h. The writer is in queue_file_write.cc.
#include "lib/queue/queue_file.h"

#include "lib/base/cat.h"
#include "lib/base/crc32c.h"
#include "lib/base/file.h"
#include "lib/queue/queue_file_format.h"
#include "lib/queue/queue_id.h"

#include <algorithm>
#include <cerrno>
#include <sys/stat.h>

namespace posthouse::queue {

using namespace format;

namespace {

constexpr size_t verify_chunk = 256 << 10;

// What the immutable part says, its checksum being right.
struct Fields {
    uint64_t number;
    int64_t id_us;
    int64_t arrival_us;
    ContentInfo content;
    uint32_t recipient_count;
    uint64_t envelope_offset;
    uint32_t envelope_size;
    uint32_t envelope_crc;
    uint64_t states_offset;
    std::string id;
};

Fields read_fields(std::string_view header)
{
    Fields fields;
    fields.number = get<uint64_t>(header, number_at);
    fields.id_us = static_cast<int64_t>(get<uint64_t>(header, id_us_at));
    fields.arrival_us = static_cast<int64_t>(get<uint64_t>(header, arrival_at));
    fields.content.offset = get<uint64_t>(header, content_offset_at);
    fields.content.size = get<uint64_t>(header, content_size_at);
    fields.content.crc32c = get<uint32_t>(header, content_crc_at);
    fields.content.facts = smtp::ContentFacts::from_stored(static_cast<uint8_t>(header[facts_at]),
                                                           get<uint32_t>(header, longest_line_at));
    fields.recipient_count = get<uint32_t>(header, recipient_count_at);
    fields.envelope_offset = get<uint64_t>(header, envelope_offset_at);
    fields.envelope_size = get<uint32_t>(header, envelope_size_at);
    fields.envelope_crc = get<uint32_t>(header, envelope_crc_at);
    fields.states_offset = get<uint64_t>(header, states_offset_at);
    const std::string_view id = header.substr(id_at, id_size);
    fields.id = std::string(id.substr(0, std::min(id.find('\0'), id.size())));
    return fields;
}

// The places that the fields name follow one another, as the layout says.
bool is_consistent(const Fields& fields)
{
    return fields.content.offset == header_size && fields.content.size <= INT64_MAX / 2 &&
           fields.envelope_offset == header_size + fields.content.size && fields.envelope_size <= largest_envelope &&
           fields.states_offset == fields.envelope_offset + fields.envelope_size &&
           fields.recipient_count <= most_recipients && fields.id == make_id(fields.id_us, fields.number);
}

bool read_flags(std::string_view header, StoredMessage& message)
{
    const char progress = header[progress_at];
    const char hold = header[hold_at];
    const char expire = header[expire_at];
    const char warned = header[warned_at];
    message.known = progress == progress_known;
    message.held = hold == hold_yes;
    message.expire = static_cast<Expire>(expire);
    message.warned = warned == warned_yes;
    return (progress == progress_new || progress == progress_known) && (hold == flag_no || hold == hold_yes) &&
           (expire == static_cast<char>(Expire::No) || expire == static_cast<char>(Expire::AtNextAttempt) ||
            expire == static_cast<char>(Expire::AndRelease)) &&
           (warned == flag_no || warned == warned_yes);
}

// Not whole: never written, so the other message was never committed.
std::string read_successor(std::string_view header)
{
    const std::string_view field = header.substr(successor_at, id_size);
    const std::string_view id = field.substr(0, field.find('\0'));
    return !id.empty() && crc32c(field) == get<uint32_t>(header, successor_crc_at) ? std::string(id) : std::string();
}

// The states' bytes. A new message has none but Pending, whatever is there: see queue_file.h.
std::string read_states(std::string_view bytes, Examination& examination)
{
    for (const char byte : bytes) {
        auto state = static_cast<RecipientState>(static_cast<unsigned char>(byte));
        if (!examination.message.known) {
            examination.stale_states = examination.stale_states || state != RecipientState::Pending;
            state = RecipientState::Pending;
        }
        if (!is_valid(state))
            return "a recipient's state is not one";
        examination.message.states.push_back(state);
    }
    return "";
}

// Empty when envelope and states are right, else what is wrong.
Result<std::string> read_envelope(int fd, const Fields& fields, Examination& examination)
{
    StoredMessage& message = examination.message;
    std::string bytes(fields.envelope_size + size_t{fields.recipient_count}, '\0');
    const auto got = pread_full(fd, bytes.data(), bytes.size(), fields.envelope_offset);
    if (!got)
        return got.error();
    if (*got != bytes.size())
        return std::string("the file ends within the envelope");
    const std::string_view envelope = std::string_view(bytes).substr(0, fields.envelope_size);
    if (crc32c(envelope) != fields.envelope_crc)
        return std::string("the envelope does not agree with its checksum");
    auto decoded = mail::decode_envelope(envelope);
    if (!decoded)
        return cat("the envelope cannot be read: ", decoded.error().full_text());
    message.envelope = *std::move(decoded);
    if (message.envelope.id != fields.id || message.envelope.recipients.size() != fields.recipient_count)
        return std::string("header and envelope are of different messages");
    return read_states(std::string_view(bytes).substr(fields.envelope_size), examination);
}

bool all_zero(std::string_view bytes)
{
    return std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == '\0'; });
}

// No message: free, or damaged.
Examination examine_without_message(std::string_view header, std::string_view magic, bool is_sound)
{
    if (all_zero(header))
        return Examination(Verdict::Free);
    if (magic == free_magic && header.size() == header_size) {
        Examination result(Verdict::Free);
        if (is_sound)
            result.last_us = read_fields(header).id_us;
        return result;
    }
    return Examination(Verdict::Damaged, "the header is no queue file's");
}

Result<Examination> examine_message(int fd, const Fields& fields, Examination result, Depth depth)
{
    // From here on a new message may be an interrupted commit.
    const Verdict broken = result.message.known ? Verdict::Damaged : Verdict::Incomplete;
    auto fault = read_envelope(fd, fields, result);
    if (!fault)
        return std::move(fault.error());
    if (fault->empty() && (depth == Depth::WithContent || (depth == Depth::AsNeeded && !result.message.known))) {
        const auto verified = verify_content(fd, fields.content);
        if (!verified && verified.error().kind() != ErrorKind::Corrupt)
            return verified.error();
        if (!verified)
            *fault = verified.error().text();
    }
    result.verdict = fault->empty() ? Verdict::Complete : broken;
    result.reason = *std::move(fault);
    return result;
}

} // namespace

Result<void> verify_content(int fd, const ContentInfo& content)
{
    std::string chunk(static_cast<size_t>(std::min<uint64_t>(content.size, verify_chunk)), '\0');
    uint32_t sum = 0;
    for (uint64_t done = 0; done < content.size;) {
        const auto want = static_cast<size_t>(std::min<uint64_t>(content.size - done, chunk.size()));
        const auto got = pread_full(fd, chunk.data(), want, content.offset + done);
        if (!got)
            return got.error();
        if (*got != want)
            return Error(ErrorKind::Corrupt, "the file ends within the content");
        sum = crc32c(sum, std::string_view(chunk).substr(0, want));
        done += want;
    }
    if (sum != content.crc32c)
        return Error(ErrorKind::Corrupt, "the content does not agree with its checksum");
    return Result<void>();
}

Result<Examination> examine_file(int fd, uint64_t number, Depth depth)
{
    struct stat status {};
    if (::fstat(fd, &status) != 0)
        return Error::system("fstat queue file", errno);
    std::array<char, header_size> bytes{};
    const auto got = pread_full(fd, bytes.data(), bytes.size(), 0);
    if (!got)
        return got.error();
    const std::string_view header(bytes.data(), *got);
    const std::string_view magic = header.substr(0, magic_size);
    const bool is_sound = header.size() == header_size &&
                          crc32c(header.substr(checked_at, progress_at - checked_at)) ==
                              get<uint32_t>(header, header_crc_at) &&
                          get<uint32_t>(header, version_at) == format_version;
    Examination result(Verdict::Damaged);
    if (magic != live_magic) {
        result = examine_without_message(header, magic, is_sound);
    } else if (!is_sound) {
        result.reason = "the header does not agree with its checksum";
        if (header.size() == header_size && number_of(read_fields(header).id) == number)
            result.id = read_fields(header).id; // to name what is left of it
    } else {
        const Fields fields = read_fields(header);
        result.id = fields.id;
        result.last_us = fields.id_us;
        result.message.number = fields.number;
        result.message.content = fields.content;
        result.message.states_offset = fields.states_offset;
        if (!is_consistent(fields) || !read_flags(header, result.message)) {
            result.reason = "the header contradicts itself";
        } else if (fields.number != number) {
            result.reason = "the header names another file";
        } else {
            result.message.successor = read_successor(header);
            result.message.next_attempt_us =
                static_cast<int64_t>(status.st_mtim.tv_sec) * 1000000 + status.st_mtim.tv_nsec / 1000;
            auto examined = examine_message(fd, fields, std::move(result), depth);
            if (!examined)
                return std::move(examined.error());
            result = *std::move(examined);
        }
    }
    result.file_size = static_cast<uint64_t>(status.st_size);
    result.message.file_size = result.file_size;
    return result;
}

} // namespace posthouse::queue
