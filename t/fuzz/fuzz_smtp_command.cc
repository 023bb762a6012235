// Arguments of SMTP commands. What is taken must hold no byte that could break out of a record.
#include "lib/smtp/command.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>

using namespace posthouse::smtp;

namespace {
void require_clean(std::string_view text)
{
    if (text.find_first_of(std::string_view("\0\r\n", 3)) != std::string_view::npos)
        abort();
}
} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    GrammarOptions options;
    for (bool strict : {false, true}) {
        options.strict_envelopes = strict;
        MailCommand mail;
        if (!parse_mail(text, options, mail)) {
            require_clean(mail.sender.to_text());
            require_clean(mail.envid);
            require_clean(mail.auth.value_or(""));
        }
        RcptCommand rcpt;
        if (!parse_rcpt(text, options, rcpt)) {
            require_clean(rcpt.recipient.to_text());
            require_clean(rcpt.orcpt);
        }
    }
    BdatCommand bdat;
    (void)parse_bdat(text, bdat);
    std::vector<Attribute> attributes;
    if (!parse_attributes(text, xclient_names, attributes))
        for (const Attribute& attribute : attributes)
            require_clean(attribute.value);
    return 0;
}
