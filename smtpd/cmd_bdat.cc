// BDAT (RFC 3030): content in chunks of a size that was said before, so that nothing in it is ever taken
// for a command. A chunk is read to its end whatever the answer is.
#include "lib/base/cat.h"
#include "lib/smtp/command.h"
#include "smtpd/server.h"
#include "smtpd/session.h"

namespace posthouse::smtpd {

Session::Answer Session::cmd_bdat(const smtp::CommandLine& line)
{
    smtp::BdatCommand command;
    auto refusal = smtp::parse_bdat(line.argument(), command);
    if (refusal) {
        // Where the next command begins is not known.
        closing_ = true;
        co_return std::move(*refusal);
    }
    const bool discarded = (co_await discarded_keywords() & EhloChunking) != 0;
    if (discarded) {
        CO_CHECK(co_await skip_chunk(command.size));
        co_return smtp::Reply(502, "5.5.1", "Error: command not implemented");
    }
    if (chunks_refused_) {
        CO_CHECK(co_await skip_chunk(command.size));
        chunks_refused_ = !command.last;
        const smtp::Reply discarded_too(551, "5.0.0", "Discarded after earlier error");
        for (; command.last && refused_replies_ > 1; --refused_replies_) // LMTP: one for each recipient
            CO_CHECK(co_await write(discarded_too));
        co_return smtp::Reply(551, "5.0.0", cat("Discarded ", command.size, " bytes after earlier error"));
    }
    refusal = check_data_order();
    if (!refusal && !mail_->chunking)
        refusal = co_await start_message();
    if (refusal) {
        CO_CHECK(co_await skip_chunk(command.size));
        // The transaction stays for another try only where nothing of it was sent: never with chunks.
        reset_mail();
        chunks_refused_ = !command.last;
        co_return std::move(*refusal);
    }
    mail_->chunking = true;

    const Instant started = Instant::now();
    for (uint64_t left = command.size; left > 0;) {
        const Deadline deadline = data_deadline(started);
        auto chunk = co_await chat_.read_bdat(mail_->reader, left, deadline);
        if (!chunk)
            co_return std::move(chunk.error());
        content_bytes_ += chunk->content.size();
        co_await take_content(chunk->content);
        if (refuse_bare_newline())
            co_return bare_newline_reply();
    }
    if (command.last) {
        co_await take_content(mail_->reader.finish_chunks());
        where_ = "END-OF-MESSAGE";
        co_return co_await end_message();
    }
    if (mail_->failure) {
        refused_replies_ = server_.lmtp ? static_cast<uint32_t>(mail_->envelope.recipients.size()) : 1;
        smtp::Reply reply = co_await finish_message();
        chunks_refused_ = true;
        co_return reply;
    }
    co_return smtp::Reply(250, "2.0.0", cat("Ok: ", command.size, " bytes"));
}

Task<Result<void>> Session::skip_chunk(uint64_t size)
{
    smtp::DataReader nobody;
    const Instant started = Instant::now();
    for (uint64_t left = size; left > 0;) {
        const Deadline deadline = data_deadline(started);
        auto chunk = co_await chat_.read_bdat(nobody, left, deadline);
        if (!chunk)
            co_return std::move(chunk.error());
        content_bytes_ += chunk->content.size();
    }
    content_bytes_ = 0;
    co_return Result<void>();
}

} // namespace posthouse::smtpd
