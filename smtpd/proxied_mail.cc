// Mail that goes to a filter before it is accepted (smtpd_proxy_filter): what takes the place of the queue in message.cc.
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/queue/rewrite.h"
#include "smtpd/proxy_filter.h"
#include "smtpd/server.h"
#include "smtpd/session.h"

namespace posthouse::smtpd {

// The filter hears of a recipient when we would take it.
Task<std::optional<smtp::Reply>> Session::offer_to_filter(const mail::Recipient& recipient)
{
    if (!mail_->proxy) {
        auto context = co_await server_.local_clients->context_for(client_.name, client_.ip, !login_.user.empty());
        if (!context)
            co_return failure_reply(context.error());
        mail_->envelope.rewrite_context = queue::to_text(*context);
        fill_envelope();
        mail_->proxy =
            std::make_unique<ProxyFilter>(*server_.proxy, server_.loop, server_.ask_resolver, mail_->envelope);
    }
    auto refused = co_await mail_->proxy->offer(recipient);
    if (refused)
        log_filter_reply(*refused, recipient);
    co_return refused;
}

Task<std::optional<smtp::Reply>> Session::start_proxied()
{
    warn_of_lost_actions();
    mail_->queue_id = "NOQUEUE";
    log_client();
    auto denied = co_await milters_data();
    if (denied)
        co_return denied;
    auto refused = co_await mail_->proxy->begin_content();
    if (refused) {
        log_filter_reply(*refused, mail_->envelope.recipients.back());
        co_return refused;
    }
    const std::string headers = trace_headers(wall_clock_us());
    co_await take_proxied(headers);
    co_return std::nullopt;
}

Task<void> Session::take_proxied(std::string_view piece)
{
    auto refused = co_await mail_->proxy->content(piece);
    if (!refused)
        co_return;
    log_filter_reply(*refused, mail_->envelope.recipients.back());
    mail_->failure_logged = true;
    fail_content(std::move(*refused));
}

Task<smtp::Reply> Session::finish_proxied()
{
    smtp::Reply reply = co_await mail_->proxy->finish();
    log_filter_reply(reply, mail_->envelope.recipients.back());
    reset_mail();
    if (reply.positive())
        errors_ = junk_ = 0;
    co_return reply;
}

// What access tables ask for and only a queue can do.
void Session::warn_of_lost_actions() const
{
    const Actions& actions = mail_->actions;
    if (actions.hold || actions.discard || !actions.redirect.empty() || !actions.filter.empty() || !actions.bcc.empty())
        log::warning("with smtpd_proxy_filter, actions HOLD, DISCARD, REDIRECT, FILTER and BCC of access tables are not available");
}

void Session::log_filter_reply(const smtp::Reply& reply, const mail::Recipient& recipient)
{
    Mailbox shown;
    shown.given = recipient.original;
    const Case asked = make_case(where_, &shown);
    log::info(reply.positive() ? "proxy-accept: " : "proxy-reject: ", where_, ": ", reply.to_text(), log_context(asked));
}

} // namespace posthouse::smtpd
