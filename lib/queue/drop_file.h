// A message in maildrop/, as sendmail writes it, postdrop checks and stores it, and pickup reads it. The
// writer is any local user: the reader trusts nothing, holds one record in memory, and accepts a file
// only to its end mark. Pure.
//
//   "PHdrop1\n"                         magic
//   { type u8, length u32, bytes }...   records, little endian
//   'E', 12, content size u64, crc32c u32 of all bytes before this record
//
// Sender and full name stand before the content (From: may be made of them); recipients may come after
// it (sendmail -t finds them there). Content is text with LF or CRLF line ends, cut anywhere into records
// of at most drop_record_limit bytes. Texts hold no NUL, CR or LF.
//
// A complete file has the owner's execute bit; until then it is one that sendmail still writes, or that
// it left behind when it was killed. See maildrop.h.
#pragma once

#include "lib/base/result.h"
#include "lib/mail/envelope.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::queue {

constexpr size_t drop_record_limit = 65536;
constexpr size_t drop_recipient_limit = 200000;

// What a drop file says beside the content.
class DropAttributes {
public:
    DropAttributes() = default;
    std::string sender; // "" is the null sender
    std::string full_name;
    std::vector<std::string> recipients;
    uint8_t notify = mail::NotifyDefault; // of all recipients
    mail::Return ret = mail::Return::Unspecified;
    std::string envid;
    bool body_8bit = false;
    bool smtputf8 = false;
    bool gateway = false; // sendmail -G: not ours, so that its headers are left alone
    uint8_t trace = mail::TraceNone;

    bool operator==(const DropAttributes&) const = default;
};

// Makes the bytes of a drop file; each call returns what to write next.
class DropWriter {
public:
    // Everything but the recipients.
    std::string begin(const DropAttributes& attributes);
    std::string recipient(std::string_view address);
    std::string content(std::string_view piece);
    std::string end();

private:
    std::string record(char type, std::string_view bytes);
    std::string account(std::string bytes);
    uint32_t checksum_ = 0;
    uint64_t content_size_ = 0;
};

class DropReader {
public:
    enum class Found : unsigned char { NeedMore, Content, End };

    void feed(std::string_view bytes);
    // Content: see content(). An Error (Corrupt) is final. After End nothing more may be fed.
    Result<Found> next();
    std::string_view content() const { return content_; } // until the next feed() or next()
    // As far as read; complete after End.
    const DropAttributes& attributes() const { return attributes_; }
    uint64_t content_size() const { return content_size_; }
    bool has_sender() const { return has_sender_; }

private:
    Result<void> take_attribute(char type, std::string_view bytes);
    Result<void> take_end(std::string_view bytes) const;
    void consume(size_t count);

    std::string buffer_;
    size_t position_ = 0;
    uint32_t checksum_ = 0;
    std::string_view content_;
    DropAttributes attributes_;
    uint64_t content_size_ = 0;
    bool begun_ = false; // the magic was there
    bool has_sender_ = false;
    bool has_content_ = false;
    bool ended_ = false;
};

} // namespace posthouse::queue
