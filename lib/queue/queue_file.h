// The format of a queue file, its writer and its reader. Blocking: in pool threads and tools, except for
// the small in-place writes of qmgr. The states are explained in queue.h.
//
// Layout, version 1, little endian. The header is one disk sector, which is written whole or not at all.
//
//   offset size
//        0    8  magic: "PHqLIVE1" a message; "phQfree!" none now; zeros: never any. Else: damage
//        8    4  crc32c of the bytes 12 to 127
//       12    4  version = 1
//       16    8  number of the slot
//       24    8  time part of the id, microseconds since 1970
//       32    8  arrival, microseconds since 1970
//       40    8  offset of the content = 512
//       48    8  size of the content
//       56    4  crc32c of the content
//       60    4  longest line of the content, CRLF not counted
//       64    4  facts (smtp::ContentFacts::flags)
//       68    4  count of recipients
//       72    8  offset of the envelope (directly behind the content)
//       80    4  size of the envelope
//       84    4  crc32c of the envelope
//       88    8  offset of the states (directly behind the envelope), one byte for each recipient
//       96   32  the id as text, padded with NUL
//   ---------- immutable above, changed in place below; each value two bits from any other
//      128    1  progress: 'N' new, 'k' known to qmgr
//      129    1  hold: '-' no, 'h' yes
//      130    1  expire: '-' no, 'E' at the next attempt, 'F' the same and out of hold
//      131    1  warned: '-' no, 'w' the delay warning has been sent
//      132    4  crc32c of the next field; zero when there is none
//      136   32  id of the message that takes this one's place, padded with NUL (see StoredMessage)
//      168  344  zeros, not looked at
//      512       content: CRLF lines, not dot-stuffed, no final dot; then envelope, then states
//
// The file may be longer; what is behind the states means nothing. While `progress` is 'N' the states are not
// looked at, every recipient is Pending: bytes of an earlier message may be there after an interrupted commit,
// and marks of this message whose 'k' was not written when the power went (they are in the journal, or lost:
// duplicates). With 'k' they count.
// The file's modification time is the time of the next attempt.
#pragma once

#include "lib/base/result.h"
#include "lib/mail/envelope.h"
#include "lib/queue/content_info.h"
#include "lib/queue/queue.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::queue {

class Disk;

inline constexpr size_t header_size = 512;
inline constexpr uint64_t largest_envelope = 512u << 20;
inline constexpr uint32_t most_recipients = 1000000;

enum class Expire : uint8_t { No = '-', AtNextAttempt = 'E', AndRelease = 'F' };

// What qmgr and the operator's commands know of a message.
class StoredMessage {
public:
    StoredMessage() = default;

    uint64_t number = 0;
    mail::Envelope envelope; // its id and arrival included
    ContentInfo content;
    std::vector<RecipientState> states; // as many as recipients
    uint64_t states_offset = 0;
    bool known = false; // qmgr had it before: at least one attempt, or a restart, ago
    bool held = false;
    bool warned = false;
    Expire expire = Expire::No;
    int64_t next_attempt_us = 0; // wall clock
    uint64_t file_size = 0;
    // Empty, or the id under which it was, perhaps, requeued: when that message is in the queue, or has been, this one
    // is done. Written before the other is committed, so whoever finds both knows which one to keep.
    std::string successor;

    const std::string& id() const { return envelope.id; }
};

enum class Verdict : uint8_t {
    Free,       // no message
    Complete,   // a whole message
    Incomplete, // a commit that never ended, unless qmgr knows the message (then: Damaged)
    Damaged,    // was a message, or should not look like this
};

class Examination {
public:
    Examination() = default;
    explicit Examination(Verdict what, std::string the_reason = "") : verdict(what), reason(std::move(the_reason)) {}

    Verdict verdict = Verdict::Free;
    std::string reason;      // Incomplete, Damaged: what is wrong
    std::string id;          // as far as it can be read
    bool stale_states = false; // Complete and not known: the file holds other states than `message`
    int64_t last_us = 0;     // time part of the last id that this slot had; 0 when unknown
    uint64_t file_size = 0;
    StoredMessage message;   // Complete; for the others what could be decoded
};

// Whether the content's checksum is checked; AsNeeded: when qmgr has not known the message before.
enum class Depth : uint8_t { WithoutContent, AsNeeded, WithContent };

// Reads the header and the envelope, and the content as `depth` says. An Error only when the file cannot be
// read.
Result<Examination> examine_file(int fd, uint64_t number, Depth depth);

// Everything but the content has been believed: is the content what the header says?
Result<void> verify_content(int fd, const ContentInfo& content);

// ---- writing

// The end of a commit, in one value: what has to be in the file around the content.
class CommitImage {
public:
    CommitImage() = default;

    std::array<char, header_size> header{};
    std::string tail; // envelope and states
    uint64_t tail_offset = 0;
};

// Whether examine_file() will take it: a Permanent Error when it is too large, or has what no envelope may have. Before
// a commit.
Result<void> check_envelope(const mail::Envelope& envelope);

// `envelope.id` must be the id made from `id_us` and `number`.
CommitImage make_commit_image(uint64_t number, int64_t id_us, const mail::Envelope& envelope,
                              const ContentInfo& content);

// Writes `content_tail` (the content from `content_tail_offset` on, not yet in the file), the image around it,
// and syncs. On success the message is durable. Blocks.
// After an Error the file must not be used for another message before it has been examined.
Result<void> write_commit(Disk& disk, int fd, const CommitImage& image, std::string_view content_tail,
                          uint64_t content_tail_offset);

// Content that does not wait for the commit.
Result<void> write_content(Disk& disk, int fd, std::string_view content, uint64_t offset);

// ---- changes in place (page cache only; see mark_journal.h for what makes them durable)
Result<void> write_state(Disk& disk, int fd, uint64_t states_offset, uint32_t index, RecipientState state);
Result<void> write_known(Disk& disk, int fd);
Result<void> write_hold(Disk& disk, int fd, bool held);
Result<void> write_expire(Disk& disk, int fd, Expire expire);
Result<void> write_warned(Disk& disk, int fd);
Result<void> write_successor(Disk& disk, int fd, std::string_view id);
Result<void> write_free(Disk& disk, int fd); // Complete -> Retired

// EDQUOT and ENOSPC as 4.3.1, else 4.3.0.
Error disk_error(std::string what, int errno_value);

} // namespace posthouse::queue
