// What a delivery asks of the commands: see transaction.h.
#include "smtp/transaction.h"

#include "lib/base/ascii.h"

namespace posthouse::smtp_client {

bool needs_smtputf8(const queue::DeliveryRequest& request)
{
    // Without the sender's SMTPUTF8 an 8-bit header is old custom, and goes out as it came.
    if (request.envelope.smtputf8 && request.content.facts.has_8bit_header)
        return true;
    if (!ascii::all_7bit(request.envelope.sender) && !smtp::ascii_address(request.envelope.sender))
        return true;
    for (const mail::Recipient& recipient : request.envelope.recipients)
        if (!ascii::all_7bit(recipient.address) && !smtp::ascii_address(recipient.address))
            return true;
    return false;
}

bool needs_tls(const queue::DeliveryRequest& request, const MailHost& host)
{
    return request.envelope.requiretls && !request.envelope.sender.empty() && !host.address.is_unix()
           && !host.address.ip.unmapped().is_loopback();
}

std::string mail_command(const queue::DeliveryRequest& request, const Features& features)
{
    const smtp::ContentFacts& facts = request.content.facts;
    return smtp::mail_command(request.envelope, request.content.size, facts.has_8bit_body || facts.has_8bit_header, features);
}

} // namespace posthouse::smtp_client
