// The format of a drop, see drop_file.h: written by sendmail, checked by postdrop, read by pickup and postcat.
#include "lib/queue/drop_file.h"

#include "lib/base/cat.h"
#include "lib/base/crc32c.h"
#include "lib/ipc/codec.h"

#include <algorithm>
#include <utility>

namespace posthouse::queue {

namespace {

constexpr std::string_view magic = "PHdrop1\n";
constexpr size_t record_head = 5;
constexpr size_t end_size = 12;

namespace type {
constexpr char sender = 'S', full_name = 'F', recipient = 'R', notify = 'N', ret = 'H', envid = 'I', flags = 'X',
               trace = 'T', content = 'C', end = 'E';
}

constexpr uint8_t flag_8bit = 1, flag_smtputf8 = 2, flag_gateway = 4;

Error damaged(std::string_view what)
{
    return Error(ErrorKind::Corrupt, "5.6.0", cat("bad drop file: ", what));
}

bool is_clean(std::string_view text)
{
    return text.find_first_of(std::string_view("\0\r\n", 3)) == std::string_view::npos;
}

} // namespace

std::string DropWriter::account(std::string bytes)
{
    checksum_ = crc32c(checksum_, bytes);
    return bytes;
}

std::string DropWriter::record(char its_type, std::string_view bytes)
{
    ipc::Writer writer;
    writer.u8(static_cast<uint8_t>(its_type));
    writer.string(bytes);
    return writer.take();
}

std::string DropWriter::begin(const DropAttributes& attributes)
{
    std::string out(magic);
    out += record(type::sender, attributes.sender);
    if (!attributes.full_name.empty())
        out += record(type::full_name, attributes.full_name);
    const auto byte = [&](char its_type, uint8_t value) {
        if (value != 0)
            out += record(its_type, std::string(1, static_cast<char>(value)));
    };
    byte(type::notify, attributes.notify);
    byte(type::ret, static_cast<uint8_t>(attributes.ret));
    byte(type::trace, attributes.trace);
    byte(type::flags, static_cast<uint8_t>((attributes.body_8bit ? flag_8bit : 0) | (attributes.smtputf8 ? flag_smtputf8 : 0)
                                           | (attributes.gateway ? flag_gateway : 0)));
    if (!attributes.envid.empty())
        out += record(type::envid, attributes.envid);
    return account(std::move(out));
}

std::string DropWriter::recipient(std::string_view address)
{
    return account(record(type::recipient, address));
}

std::string DropWriter::content(std::string_view piece)
{
    content_size_ += piece.size();
    std::string out;
    while (!piece.empty()) {
        const std::string_view part = piece.substr(0, drop_record_limit);
        out += record(type::content, part);
        piece.remove_prefix(part.size());
    }
    return account(std::move(out));
}

std::string DropWriter::end()
{
    ipc::Writer bytes;
    bytes.u64(content_size_);
    bytes.u32(checksum_);
    return record(type::end, bytes.bytes());
}

void DropReader::feed(std::string_view bytes)
{
    buffer_.erase(0, position_);
    position_ = 0;
    content_ = std::string_view();
    buffer_.append(bytes);
}

void DropReader::consume(size_t count)
{
    checksum_ = crc32c(checksum_, std::string_view(buffer_).substr(position_, count));
    position_ += count;
}

Result<DropReader::Found> DropReader::next()
{
    while (true) {
        const std::string_view rest = std::string_view(buffer_).substr(position_);
        if (ended_) {
            if (!rest.empty())
                return damaged("bytes behind its end");
            return Found::End;
        }
        if (!begun_) {
            if (!magic.starts_with(rest.substr(0, magic.size())))
                return damaged("not a drop file");
            if (rest.size() < magic.size())
                return Found::NeedMore;
            begun_ = true;
            consume(magic.size());
            continue;
        }
        if (rest.size() < record_head)
            return Found::NeedMore;
        ipc::Reader head(rest.substr(0, record_head));
        const char its_type = static_cast<char>(head.u8());
        const size_t length = head.u32();
        if (length > drop_record_limit)
            return damaged("a record is too long");
        if (rest.size() - record_head < length)
            return Found::NeedMore;
        const std::string_view bytes = rest.substr(record_head, length);
        if (its_type == type::end) {
            RETURN_IF_ERROR(take_end(bytes));
            ended_ = true;
            position_ += record_head + length;
            continue;
        }
        consume(record_head + length);
        if (its_type == type::content) {
            if (!has_sender_)
                return damaged("content before the sender");
            has_content_ = true;
            content_size_ += length;
            content_ = bytes;
            return Found::Content;
        }
        RETURN_IF_ERROR(take_attribute(its_type, bytes));
    }
}

Result<void> DropReader::take_attribute(char its_type, std::string_view bytes)
{
    const bool is_text = std::string_view("SFRI").find(its_type) != std::string_view::npos;
    if (is_text && !is_clean(bytes))
        return damaged("a control character in its envelope");
    if (has_content_ && its_type != type::recipient)
        return damaged("an attribute behind the content");
    if (its_type == type::sender && !std::exchange(has_sender_, true)) {
        attributes_.sender = bytes;
        return {};
    }
    if (its_type == type::recipient) {
        if (bytes.empty() || attributes_.recipients.size() >= drop_recipient_limit)
            return damaged(bytes.empty() ? "an empty recipient" : "too many recipients");
        attributes_.recipients.emplace_back(bytes);
        return {};
    }
    if (its_type == type::full_name || its_type == type::envid) {
        (its_type == type::envid ? attributes_.envid : attributes_.full_name) = bytes;
        return {};
    }
    const uint8_t value = bytes.size() == 1 ? static_cast<uint8_t>(bytes.front()) : 0xff;
    constexpr uint8_t all_notify = mail::NotifyNever | mail::NotifySuccess | mail::NotifyFailure | mail::NotifyDelay;
    if (its_type == type::notify && (value & ~all_notify) == 0)
        attributes_.notify = value;
    else if (its_type == type::ret && value <= static_cast<uint8_t>(mail::Return::Headers))
        attributes_.ret = static_cast<mail::Return>(value);
    else if (its_type == type::trace && value <= (mail::TraceVerify | mail::TraceDelivery))
        attributes_.trace = value;
    else if (its_type == type::flags && value <= (flag_8bit | flag_smtputf8 | flag_gateway)) {
        attributes_.body_8bit = (value & flag_8bit) != 0;
        attributes_.smtputf8 = (value & flag_smtputf8) != 0;
        attributes_.gateway = (value & flag_gateway) != 0;
    } else
        return damaged("an unknown record");
    return {};
}

Result<void> DropReader::take_end(std::string_view bytes) const
{
    if (bytes.size() != end_size)
        return damaged("a wrong end mark");
    ipc::Reader reader(bytes);
    const uint64_t size = reader.u64();
    const uint32_t checksum = reader.u32();
    if (size != content_size_ || checksum != checksum_)
        return damaged("its checksum is wrong");
    if (!has_sender_)
        return damaged("it has no sender");
    if (attributes_.recipients.empty())
        return damaged("it has no recipient");
    return {};
}

} // namespace posthouse::queue
