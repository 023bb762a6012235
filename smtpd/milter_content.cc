// A message in the hands of milters, see milter_content.h.
#include "smtpd/milter_content.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/mail/address.h"
#include "lib/queue/header_scanner.h"
#include "lib/smtp/command.h"

#include <algorithm>

namespace posthouse::smtpd {

namespace {

Error header_too_big()
{
    return Error(ErrorKind::Permanent, "5.3.4", "Error: message header too big");
}

// "<user@example.com>" or without brackets; "" and "<>" are the null sender.
std::optional<mail::Address> milter_address(std::string_view text)
{
    text = ascii::trim(text);
    if (text.empty() || text == "<>")
        return mail::Address();
    if (text.front() == '<') {
        auto path = mail::parse_path(text);
        return path && path->rest.empty() ? std::optional(std::move(path->address)) : std::nullopt;
    }
    auto address = mail::parse_address(text);
    return address ? std::optional(std::move(*address)) : std::nullopt;
}

bool is_address(const std::string& text, const mail::Address& address)
{
    const auto parsed = mail::parse_address(text);
    return parsed && *parsed == address;
}

void add_recipient(mail::Envelope& envelope, const mail::Address& address, const std::string& parameters,
                   const std::string& id)
{
    smtp::RcptCommand command;
    const std::string text = cat("TO:<", address.to_text(), "> ", parameters);
    const auto wrong = smtp::parse_rcpt(text, smtp::GrammarOptions(), command);
    if (wrong)
        log::warning(id, ": milter: parameters of an added recipient: ", parameters, ": ", wrong->to_text());
    mail::Recipient added(address.to_text());
    added.original = added.address;
    if (!wrong) {
        added.notify = command.notify;
        added.orcpt = std::move(command.orcpt);
    }
    envelope.recipients.push_back(std::move(added));
}

} // namespace

void MilterContent::add_field(const std::string& text, size_t name_length, size_t trace_size)
{
    const auto& known = headers_.all();
    const bool ours = headers_.size() < trace_size && ascii::equal(std::string_view(text).substr(0, name_length), "Received")
                      && std::none_of(known.begin(), known.end(), [](const auto& field) { return field.hidden; });
    headers_.append(milter::HeaderField(text, name_length, ours));
}

Task<Result<void>> MilterContent::load(size_t trace_size, size_t limit)
{
    queue::HeaderScanner scanner(limit);
    using Kind = queue::HeaderItem::Kind;
    uint64_t read_to = 0;
    bool finished = false;
    while (true) {
        const queue::HeaderItem item = scanner.next();
        if (item.kind == Kind::End) {
            has_separator_ = !item.text.empty();
            body_offset_ = headers_.size() + item.text.size();
            body_size_ = message_.content().size() - body_offset_;
            co_return Result<void>();
        }
        if (item.kind == Kind::LongField || item.kind == Kind::MoreOfField || headers_.size() + item.text.size() > limit)
            co_return header_too_big();
        if (item.kind != Kind::NeedMore) {
            add_field(std::string(item.text), item.name_length, trace_size);
            continue;
        }
        scanner.keep_rest();
        auto piece = co_await message_.content().read(read_to, SpoolFile::block_size);
        if (!piece)
            co_return std::move(piece.error());
        read_to += piece->size();
        if (piece->empty() && finished)
            co_return Error(ErrorKind::Temporary, "4.3.0", "Queue file read error");
        if (piece->empty()) {
            scanner.finish();
            finished = true;
            continue;
        }
        piece_ = std::move(*piece);
        scanner.feed(piece_);
    }
}

// ---- for the filter

Task<Result<std::string_view>> MilterContent::read_body(uint64_t offset, size_t size)
{
    auto piece = co_await body().read(body_offset_ + offset, size);
    if (!piece)
        co_return std::move(piece.error());
    if (piece->empty())
        co_return Error(ErrorKind::Temporary, "4.3.0", "Queue file read error");
    piece_ = std::move(*piece);
    co_return std::string_view(piece_);
}

// Lines may come in any form, and pieces may cut them anywhere.
Task<Result<void>> MilterContent::append_new_body(std::string_view piece)
{
    if (!next_body_) {
        next_body_ = message_.new_content();
        next_line_open_ = false;
        next_lines_ = smtp::DataReader();
        (void)next_lines_.scan_chunk("\r\n"); // the end of a header: what follows is body
    }
    while (!piece.empty()) {
        const smtp::DataReader::Step step = next_lines_.scan_chunk(piece);
        piece.remove_prefix(step.consumed);
        if (!step.content.empty())
            next_line_open_ = step.content.back() != '\n';
        CO_CHECK(co_await next_body_->append(step.content));
    }
    co_return Result<void>();
}

void MilterContent::forget_new_body()
{
    next_body_.reset();
}

void MilterContent::apply(milter::Edits edits)
{
    headers_changed_ = headers_changed_ || edits.headers.changed();
    headers_ = std::move(edits.headers);
    if (edits.new_body && next_body_) {
        body_ = std::move(next_body_);
        body_offset_ = 0;
        body_size_ = body_->size();
        line_open_ = next_line_open_;
        (void)next_lines_.finish_chunks(); // counts the last line; its end follows with the others'
        body_facts_ = next_lines_.facts();
        body_facts_.has_bare = false; // LF is how a filter may end its lines; it is no sign of smuggling
    }
    if (edits.sender)
        sender_ = std::move(edits.sender);
    for (milter::Edits::RecipientEdit& edit : edits.recipients)
        recipients_.push_back(std::move(edit));
}

// ---- at the end

bool MilterContent::change_envelope(mail::Envelope& envelope)
{
    if (sender_) {
        const auto address = milter_address(*sender_);
        if (address)
            envelope.sender = address->is_null() ? std::string() : address->to_text();
        else
            log::warning(message_.id(), ": milter: bad sender address: ", *sender_);
    }
    for (const milter::Edits::RecipientEdit& edit : recipients_) {
        const auto address = milter_address(edit.address);
        if (!address || address->is_null()) {
            log::warning(message_.id(), ": milter: bad recipient address: ", edit.address);
            lost_recipient_ = lost_recipient_ || edit.add;
        } else if (edit.add)
            add_recipient(envelope, *address, edit.parameters, message_.id());
        else
            std::erase_if(envelope.recipients, [&](const mail::Recipient& recipient) {
                return is_address(recipient.original.empty() ? recipient.address : recipient.original, *address);
            });
    }
    return !envelope.recipients.empty();
}

void MilterContent::finish(smtp::ContentFacts& facts)
{
    if (!headers_changed_ && !body_)
        return;
    std::string header = headers_.text();
    if (body_)
        facts = body_facts_;
    facts.merge(smtp::facts_of_header(header));
    if (has_separator_ || body_size_ > 0)
        header.append("\r\n");
    message_.replace(std::move(header), std::move(body_), body_offset_, line_open_);
}

} // namespace posthouse::smtpd
