// A whole SMTP or LMTP session with a stranger who means no good, against a queue in memory. The first byte says
// how the bytes are cut into segments, and its highest bit that it is LMTP; the byte 0x1e parts what is sent only after the server has answered.
// Whatever is sent: each "queued as" is one message in the queue, none is left half done, no stored content
// has a bare CR or LF, no recipient is foreign, and the session leaves nothing behind.
#include "lib/base/ascii.h"
#include "lib/log/log.h"
#include "t/unit/smtpd/session_fixture.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

using namespace posthouse;
using namespace posthouse::test;

namespace {

constexpr const char* extra_main_cf = "smtpd_hard_error_limit = 1000\n"
                                      "smtpd_soft_error_limit = 1000\n"
                                      "smtpd_authorized_xforward_hosts = 198.51.100.7\n"
                                      "smtpd_forbid_unauth_pipelining = no\n"
                                      "smtpd_forbid_bare_newline = normalize\n"
                                      "smtpd_reject_footer = \\c $sender\\n$recipient ${helo_name?x}\n"
                                      "smtpd_command_filter = pcre:{{/^X(.*)/ $$1}}\n"
                                      "message_size_limit = 100000\n";

SmtpdFixture& fixture()
{
    static SmtpdFixture& made = *[] {
        log::Sink sink;
        sink.to = log::Sink::To::File;
        sink.path = "/dev/null";
        sink.program = "smtpd";
        log::open(sink);
        return new SmtpdFixture(extra_main_cf); // for the whole run
    }();
    return made;
}

void require(bool condition)
{
    if (!condition)
        std::abort();
}

size_t count_of(std::string_view text, std::string_view part)
{
    size_t count = 0;
    for (size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + part.size()))
        ++count;
    return count;
}

bool line_ends_are_whole(std::string_view content)
{
    for (size_t at = 0; at < content.size(); ++at) {
        if (content[at] == '\r' && (at + 1 == content.size() || content[at + 1] != '\n'))
            return false;
        if (content[at] == '\n' && (at == 0 || content[at - 1] != '\r'))
            return false;
    }
    return true;
}

bool is_ours(const mail::Recipient& recipient)
{
    const std::string address = ascii::lower(recipient.address);
    for (const char* domain : {"@example.org", "@localhost", "@relay.example", "@mx.example.org", "@example.org.",
                               "@localhost.", "@relay.example."})
        if (address.ends_with(domain))
            return true;
    return address.find('@') == std::string::npos || address.find("@[") != std::string::npos;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    if (size < 2)
        return 0;
    const bool lmtp = data[0] >= 128;
    const size_t piece = data[0] % 8 == 0 ? SIZE_MAX : data[0] % 8u;
    std::vector<std::string> chunks(1);
    for (size_t at = 1; at < size; ++at) {
        if (data[at] == 0x1e)
            chunks.emplace_back();
        else
            chunks.back().push_back(static_cast<char>(data[at]));
    }
    SmtpdFixture& smtpd = fixture();
    smtpd.queue.stored.clear();
    smtpd.queue.begun = smtpd.queue.dropped = 0;
    smtpd.server->lmtp = lmtp;
    const std::string output = smtpd.talk(std::move(chunks), piece);

    require(output.starts_with("220 "));
    size_t replies = 0; // RFC 2033 section 4.2
    for (const StoredMessage& message : smtpd.queue.stored)
        replies += lmtp ? message.envelope.recipients.size() : 1;
    const size_t queued = count_of(output, "\r\n250 2.0.0 Ok: queued as QUEUEID");
    require(lmtp ? queued >= replies : queued == replies); // who is named twice is stored once
    require(smtpd.queue.begun == smtpd.queue.dropped + smtpd.queue.stored.size());
    require(smtpd.server->sessions.empty());
    for (const StoredMessage& message : smtpd.queue.stored) {
        require(line_ends_are_whole(message.content));
        require(!message.envelope.recipients.empty());
        for (const mail::Recipient& recipient : message.envelope.recipients)
            require(is_ours(recipient));
    }
    return 0;
}
