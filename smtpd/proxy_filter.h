// ProxyFilter: the SMTP conversation with a filter that sees a message before we accept it (smtpd_proxy_filter). What it
// answers is what the client hears; nothing is stored here. One for each mail, made by Session (proxied_mail.cc).
//
// The content arrives as a DataReader gives it: whole CRLF lines without a stray CR, LF or NUL, dots unstuffed. It is
// written anew, so that the filter finds the end of a message where we found it, whatever the client has sent.
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/event/byte_stream.h"
#include "lib/event/task.h"
#include "lib/mail/envelope.h"
#include "lib/net/service_address.h"
#include "lib/smtp/chat.h"
#include "lib/smtp/data_writer.h"
#include "lib/smtp/features.h"
#include "lib/smtp/reply.h"
#include "smtpd/milter_spool.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace posthouse::config {
class Config;
}

namespace posthouse::smtpd {

class ProxySettings {
public:
    // Null without smtpd_proxy_filter.
    static Result<std::unique_ptr<ProxySettings>> open(const config::Config& config);
    // "host:port", "port", "inet:host:port", "unix:path". Without a host: this one.
    static Result<net::ServiceAddress> parse_address(std::string_view text);

    net::ServiceAddress address;
    std::string ehlo;  // smtpd_proxy_ehlo
    Duration timeout;  // for each step
    // Whether the filter is called only when the message is there (smtpd_proxy_options = speed_adjust), so that a slow
    // client keeps none busy. Messages wait in `spool` then.
    bool speed_adjust = false;
    std::unique_ptr<SpoolFile> spool;
};

class ProxyFilter {
public:
    // All of them, and the envelope, outlive it. `envelope`: what is said of sender, recipients and client when it comes
    // to that.
    ProxyFilter(const ProxySettings& settings, Loop& loop, std::function<net::Resolver&()> resolver,
                const mail::Envelope& envelope);
    ~ProxyFilter();
    ProxyFilter(const ProxyFilter&) = delete;
    ProxyFilter& operator=(const ProxyFilter&) = delete;

    // Each gives nothing when the filter agrees; its refusal; or 451 4.3.0 when it cannot be asked, which has been
    // logged. Under speed_adjust the filter is not asked before finish().
    using Refusal = Task<std::optional<smtp::Reply>>;
    // Before each recipient is added to the envelope; the first opens the connection.
    Refusal offer(const mail::Recipient& recipient);
    Refusal begin_content();
    Refusal content(std::string_view piece);
    // The filter's last word, positive or not.
    Task<smtp::Reply> finish();

private:
    using Answer = Task<Result<smtp::Reply>>;
    bool holds() const { return held_ != nullptr; }
    Task<Result<void>> connect();
    Answer ask(std::string_view command);
    Refusal open();
    Refusal send_recipient(const mail::Recipient& recipient);
    Refusal send_data_command();
    Refusal send_held();
    Refusal send_content(std::string_view piece);
    smtp::Reply failed(std::string_view doing, const Error& error);

    const ProxySettings& settings_;
    Loop& loop_;
    std::function<net::Resolver&()> resolver_;
    const mail::Envelope& envelope_;
    std::unique_ptr<Socket> socket_;
    std::unique_ptr<smtp::Chat> chat_; // null: not connected
    smtp::Features features_;
    smtp::DataWriter writer_;
    std::string wire_; // content as it is sent
    std::unique_ptr<Spooled> held_; // content that waits for its end
};

} // namespace posthouse::smtpd
