// MilterContent: a message at the end of its intake, as milters see and change it: its header in memory, its body where it
// is held. What they change is kept beside the message until finish(); until then the message is as it came in.
#pragma once

#include "lib/mail/envelope.h"
#include "lib/milter/filter.h"
#include "lib/smtp/content_facts.h"
#include "lib/smtp/data_reader.h"
#include "smtpd/milter_spool.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::smtpd {

class MilterContent final : public milter::Message {
public:
    // `message` outlives it.
    explicit MilterContent(HeldMessage& message) : message_(message) {}

    // Reads the header. The first `trace_size` bytes are our own: the Received: field among them is hidden from milters.
    // Permanent 5.3.4 when the header is larger than `limit`.
    Task<Result<void>> load(size_t trace_size, size_t limit);
    // Changes sender and recipients as the milters want it. False: nobody is left.
    bool change_envelope(mail::Envelope& envelope);
    // A recipient that a milter wanted is none: that nobody is left is no wish of its.
    bool lost_recipient() const { return lost_recipient_; }
    // Puts the changed content in the message's place; `facts` become those of the new one.
    void finish(smtp::ContentFacts& facts);

    const milter::HeaderFields& headers() const override { return headers_; }
    uint64_t body_size() const override { return body_size_; }
    Task<Result<std::string_view>> read_body(uint64_t offset, size_t size) override;
    Task<Result<void>> append_new_body(std::string_view piece) override;
    void forget_new_body() override;
    void apply(milter::Edits edits) override;

private:
    void add_field(const std::string& text, size_t name_length, size_t trace_size);
    Spooled& body() { return body_ ? *body_ : message_.content(); }

    HeldMessage& message_;
    milter::HeaderFields headers_;
    bool headers_changed_ = false;
    bool has_separator_ = false; // the empty line
    uint64_t body_offset_ = 0;   // in body()
    uint64_t body_size_ = 0;
    std::unique_ptr<Spooled> body_; // null: the message's own
    smtp::ContentFacts body_facts_;
    bool line_open_ = false; // a new body's last line has no end
    std::unique_ptr<Spooled> next_body_; // not yet applied
    smtp::DataReader next_lines_;
    bool next_line_open_ = false; // its last byte is no line end
    std::string piece_;
    std::optional<std::string> sender_;
    bool lost_recipient_ = false;
    std::vector<milter::Edits::RecipientEdit> recipients_;
};

} // namespace posthouse::smtpd
