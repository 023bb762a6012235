// Why a recipient, a message or a host could not be served, as the log, qmgr and the bounce need it.
#pragma once

#include "lib/base/error.h"
#include "lib/smtp/reply.h"

#include <string>
#include <string_view>

namespace posthouse::smtp_client {

class Trouble {
public:
    Trouble() = default;
    Trouble(bool is_permanent, std::string_view its_dsn, std::string its_text)
        : permanent(is_permanent), dsn(its_dsn), text(std::move(its_text))
    {
    }
    explicit Trouble(const Error& error) : Trouble(error.permanent(), error.dsn(), error.full_text()) {}
    // "host mx[192.0.2.1] said: 550 5.1.1 ... (in reply to RCPT TO command)"
    static Trouble from_reply(const smtp::Reply& reply, std::string_view host, std::string_view host_with_address,
                              std::string_view in_reply_to);
    // "lost connection with mx[192.0.2.1] while sending RCPT TO" or "conversation with ... timed out while ..."
    static Trouble from_stream(const Error& error, std::string_view host_with_address, std::string_view doing);

    bool empty() const { return dsn.empty(); }

    bool permanent = false;
    std::string dsn;
    std::string text;
    std::string remote_mta; // "dns; mx.example.com" when a host said it
    std::string diagnostic; // "smtp; 550 ..." then
};

} // namespace posthouse::smtp_client
