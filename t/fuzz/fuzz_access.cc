// What an access table or a policy server may say of a client: "REJECT text", "PREPEND header", names of restrictions,
// anything. A whole session with it: every reply is one reply, what is stored has whole lines, and nobody gets mail
// whom neither client nor table has named.
#include "lib/base/ascii.h"
#include "lib/log/log.h"
#include "t/unit/smtpd/session_fixture.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

using namespace posthouse;
using namespace posthouse::test;

namespace {

constexpr const char* key = "198.51.100.7"; // the fixture's client
const std::vector<std::string> session = {"EHLO client.example\r\n", "MAIL FROM:<a@client.example>\r\n",
                                          "RCPT TO:<friend@example.org>\r\n", "DATA\r\n",
                                          "Subject: x\r\n\r\ntext\r\n.\r\n", "QUIT\r\n"};

SmtpdFixture& fixture()
{
    static SmtpdFixture& made = *[] {
        log::Sink sink;
        sink.to = log::Sink::To::File;
        sink.path = "/dev/null";
        sink.program = "smtpd";
        log::open(sink);
        return new SmtpdFixture("smtpd_recipient_restrictions = check_client_access environ:table\n"
                                "smtpd_end_of_data_restrictions = check_client_access environ:table\n"
                                "smtpd_restriction_classes = round\nround = check_client_access environ:table\n"
                                "smtpd_error_sleep_time = 0\n");
    }();
    return made;
}

void require(bool condition)
{
    if (!condition)
        std::abort();
}

bool is_reply_line(std::string_view line)
{
    return line.size() >= 4 && ascii::is_digit(line[0]) && ascii::is_digit(line[1]) && ascii::is_digit(line[2])
           && (line[3] == ' ' || line[3] == '-');
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string text(reinterpret_cast<const char*>(data), size);
    if (ascii::lower(text).find("sleep") != std::string::npos)
        return 0; // does as it says
    ::setenv(key, text.c_str(), 1);
    SmtpdFixture& smtpd = fixture();
    smtpd.queue.stored.clear();
    smtpd.queue.begun = smtpd.queue.dropped = 0;
    const std::string said = smtpd.talk(session, SIZE_MAX);
    for (std::string_view output = said; !output.empty(); output.remove_prefix(output.find('\n') + 1)) {
        const std::string_view line = output.substr(0, output.find('\n'));
        require(line.ends_with('\r') && line.find('\r') == line.size() - 1 && is_reply_line(line));
    }
    require(smtpd.queue.begun == smtpd.queue.dropped + smtpd.queue.stored.size());
    require(smtpd.queue.stored.size() <= 1 && smtpd.server->sessions.empty());
    for (const StoredMessage& message : smtpd.queue.stored) {
        require(message.content.find("Subject: x\r\n\r\ntext\r\n") != std::string::npos);
        for (size_t at = message.content.find('\n'); at != std::string::npos; at = message.content.find('\n', at + 1))
            require(at > 0 && message.content[at - 1] == '\r');
        for (const mail::Recipient& recipient : message.envelope.recipients)
            require(recipient.address.find_first_of("\r\n") == std::string::npos);
    }
    return 0;
}
