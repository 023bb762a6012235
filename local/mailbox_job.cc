// Jobs and results as bytes: see mailbox_job.h.
#include "local/mailbox_job.h"

#include "lib/ipc/codec.h"

namespace posthouse::local {

namespace {
constexpr size_t longest_text = 4000; // an answer has to fit the router's buffer
}

void MailboxJob::aim_at(std::string destination)
{
    kind = destination.ends_with('/') ? Kind::Maildir : Kind::Mbox;
    while (destination.size() > 1 && destination.ends_with('/'))
        destination.pop_back();
    path = std::move(destination);
}

std::string MailboxJob::encode() const
{
    ipc::Writer out;
    out.u8(static_cast<uint8_t>(kind));
    out.string(path);
    out.string(headers);
    out.string(sender);
    out.u64(content.offset);
    out.u64(content.size);
    out.u32(content.crc32c);
    return out.take();
}

Result<MailboxJob> MailboxJob::decode(std::string_view bytes)
{
    ipc::Reader in(bytes);
    MailboxJob job;
    const uint8_t kind = in.u8();
    job.kind = static_cast<Kind>(kind);
    job.path = in.string();
    job.headers = in.string();
    job.sender = in.string();
    job.content.offset = in.u64();
    job.content.size = in.u64();
    job.content.crc32c = in.u32();
    if (!in.ok_and_finished() || kind < 1 || kind > 3 || job.path.find('\0') != std::string::npos)
        return Error(ErrorKind::Corrupt, "malformed mailbox job");
    return job;
}

std::string MailboxResult::encode() const
{
    ipc::Writer out;
    out.u8(static_cast<uint8_t>(status));
    out.string(dsn);
    out.string(std::string_view(text).substr(0, longest_text));
    return out.take();
}

Result<MailboxResult> MailboxResult::decode(std::string_view bytes)
{
    ipc::Reader in(bytes);
    MailboxResult result;
    const uint8_t status = in.u8();
    result.status = static_cast<Status>(status);
    result.dsn = in.string();
    result.text = in.string();
    if (!in.ok_and_finished() || status < 1 || status > 4)
        return Error(ErrorKind::Corrupt, "malformed mailbox result");
    return result;
}

} // namespace posthouse::local
