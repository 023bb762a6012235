// HELO and EHLO (RFC 5321 section 4.1.1.1), and LHLO (RFC 2033 section 4.1).
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "smtpd/server.h"
#include "smtpd/session.h"

namespace posthouse::smtpd {

namespace {

// What the name may not hold once it stands in a log line or in the comment of a Received: header.
std::string harmless(std::string_view name)
{
    std::string text(name);
    for (char& c : text)
        if (ascii::is_control(c) || std::string_view(" <>()\\\";@").find(c) != std::string_view::npos)
            c = '?';
    return text;
}

// The keywords in the order of the reply. XCLIENT, XFORWARD and SIZE have words of their own.
struct Offer {
    uint32_t bit;
    std::string_view line;
};
constexpr Offer first_offers[] = {{EhloPipelining, "PIPELINING"}};
constexpr Offer last_offers[] = {
    {EhloEnhancedStatusCodes, "ENHANCEDSTATUSCODES"},
    {Ehlo8bitMime, "8BITMIME"},
    {EhloDsn, "DSN"},
    {EhloSmtpUtf8, "SMTPUTF8"},
};

} // namespace

Session::Answer Session::cmd_helo(const smtp::CommandLine& line)
{
    co_return co_await hello(line.argument(), "SMTP");
}

Session::Answer Session::cmd_ehlo(const smtp::CommandLine& line)
{
    co_return co_await hello(line.argument(), "ESMTP");
}

Session::Answer Session::cmd_lhlo(const smtp::CommandLine& line)
{
    co_return co_await hello(line.argument(), "LMTP");
}

// All drop a mail that is under way (RFC 5321 section 4.1.4).
Session::Answer Session::hello(std::string_view name, std::string_view protocol)
{
    const bool simple = protocol == "SMTP";
    if (name.empty())
        co_return smtp::Reply(501, "", cat("Syntax: ", where_, " hostname"));
    reset_mail();
    const std::string before = std::exchange(helo_, harmless(name));
    if (!server_.settings.delay_reject) {
        auto refusal = co_await judge_stage(Stage::Helo, where_);
        if (refusal) {
            helo_ = before;
            co_return std::move(*refusal);
        }
    }
    protocol_ = protocol;
    auto refused = co_await milters_helo();
    if (refused)
        co_return std::move(*refused);
    if (simple)
        co_return smtp::Reply(250, "", server_.settings.hostname);
    co_return co_await ehlo_reply();
}

Task<uint32_t> Session::discarded_keywords()
{
    if (!discarded_) {
        uint32_t bits = server_.settings.discard_ehlo_keywords;
        if (!server_.discard_ehlo_maps->empty()) {
            auto found = co_await server_.discard_ehlo_maps->lookup(client_.address);
            if (found && *found)
                bits |= parse_ehlo_keywords(**found);
        }
        if (!server_.settings.smtputf8_enable)
            bits |= EhloSmtpUtf8;
        if (server_.settings.disable_vrfy)
            bits |= EhloVrfy;
        if (server_.fast_flush_domains->empty() || server_.lmtp)
            bits |= EhloEtrn;
        // A filter would lose the demand on the way.
        if (!server_.settings.requiretls_enable || server_.proxy || !server_.settings.content_filter.empty())
            bits |= EhloRequireTls;
        // RFC 2033 section 5: whoever speaks LMTP may count on these.
        if (server_.lmtp)
            bits &= ~(EhloPipelining | EhloEnhancedStatusCodes);
        discarded_ = bits;
    }
    co_return *discarded_;
}

Task<Result<smtp::Reply>> Session::ehlo_reply()
{
    const uint32_t discarded = co_await discarded_keywords();
    smtp::Reply reply(250, "", server_.settings.hostname);
    const auto offer = [&](const Offer& row) {
        if ((discarded & row.bit) == 0)
            reply.add(row.line);
    };
    for (const Offer& row : first_offers)
        offer(row);
    if ((discarded & EhloSize) == 0)
        reply.add(server_.settings.message_size_limit > 0 ? cat("SIZE ", server_.settings.message_size_limit) : "SIZE");
    offer(Offer{EhloVrfy, "VRFY"});
    offer(Offer{EhloEtrn, "ETRN"});
    if (offers_tls())
        offer(Offer{EhloStartTls, "STARTTLS"});
    co_await add_auth_lines(reply);
    const bool xclient = co_await listed(*server_.xclient_hosts);
    if (xclient && (discarded & EhloXclient) == 0)
        reply.add(cat("XCLIENT ", smtp::xclient_names));
    const bool xforward = co_await listed(*server_.xforward_hosts);
    if (xforward && (discarded & EhloXforward) == 0)
        reply.add(cat("XFORWARD ", smtp::xforward_names));
    for (const Offer& row : last_offers)
        offer(row);
    if (tls_)
        offer(Offer{EhloRequireTls, "REQUIRETLS"}); // RFC 8689 section 2: never in the clear
    if ((discarded & EhloLimits) == 0)
        add_limits(reply);
    offer(Offer{EhloChunking, "CHUNKING"});
    co_return reply;
}

// RFC 9422. There is no limit on the mails of a session or the domains of a mail's recipients.
void Session::add_limits(smtp::Reply& reply) const
{
    constexpr size_t most = 999999; // section 4: six digits
    const size_t recipients = server_.settings.recipient_limit;
    if (recipients > 0 && recipients <= most)
        reply.add(cat("LIMITS RCPTMAX=", recipients));
}

} // namespace posthouse::smtpd
