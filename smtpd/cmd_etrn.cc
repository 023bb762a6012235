// ETRN (RFC 1985): a client asks for the mail that waits for its site. What it may ask for is fast_flush_domains; who may
// ask is smtpd_etrn_restrictions.
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/ipc/channel.h"
#include "lib/log/log.h"
#include "lib/queue/control_protocol.h"
#include "smtpd/evaluation.h"
#include "smtpd/hostname.h"
#include "smtpd/server.h"
#include "smtpd/session.h"

namespace posthouse::smtpd {

namespace {

constexpr size_t longest_name = 255;
constexpr size_t most_sites = 1000; // asked for within smtpd_etrn_interval

// The queue manager looks for the mail itself, as it does for `postqueue -s`.
Task<Result<void>> flush_site(Loop& loop, std::string site, Deadline deadline)
{
    auto channel = co_await ipc::connect(loop, "public/qmgr", deadline);
    if (!channel)
        co_return std::move(channel.error());
    const queue::ControlFlush request(queue::FlushWhat::Site, std::move(site));
    CO_CHECK((*channel)->post(request.to_frame()));
    auto frame = co_await (*channel)->receive(deadline);
    if (!frame)
        co_return std::move(frame.error());
    auto end = queue::ControlEnd::from_frame(*frame);
    if (!end)
        co_return std::move(end.error());
    if (!end->ok)
        co_return Error(ErrorKind::Temporary, end->text);
    co_return Result<void>();
}

// The queue manager looks at each message that waits. Who asks again and again does not make it do so again and again.
enum class Turn : unsigned char { Now, WasJustNow, TooMany };
Turn take_turn(std::map<std::string, Instant>& asked, const std::string& site, Instant now, Duration interval)
{
    std::erase_if(asked, [&](const auto& one) { return one.second + interval <= now; });
    if (asked.contains(site))
        return Turn::WasJustNow;
    if (asked.size() >= most_sites)
        return Turn::TooMany;
    asked.emplace(site, now);
    return Turn::Now;
}

} // namespace

Session::Answer Session::cmd_etrn(const smtp::CommandLine& line)
{
    if (server_.settings.helo_required && helo_.empty())
        co_return smtp::Reply(503, "5.5.1", "Error: send HELO/EHLO first");
    if (mail_)
        co_return smtp::Reply(503, "5.5.1", "Error: MAIL transaction in progress");
    std::string site(line.argument());
    if (site.empty() || site.find_first_of(" \t") != std::string::npos)
        co_return smtp::Reply(500, "5.5.4", "Syntax: ETRN domain");
    // RFC 1985 section 5.1: @ asks for subdomains as well, # for a queue by its name. Here a name is a domain.
    if (site.front() == '@' || site.front() == '#')
        site.erase(0, 1);
    if (site.size() > longest_name || (!is_hostname(site) && !is_literal(site)))
        co_return smtp::Reply(501, "5.5.4", "Error: invalid parameter syntax");
    auto denied = co_await judge_etrn(site);
    if (denied)
        co_return std::move(*denied);
    Result<bool> ours = co_await server_.fast_flush_domains->matches_domain(site);
    if (!ours) {
        log::warning("fast_flush_domains: ", ours.error().full_text());
        co_return smtp::Reply(458, "", "Unable to queue messages");
    }
    if (!*ours) {
        log::warning("reject: ETRN ", site, " from ", client_.label());
        co_return smtp::Reply(459, "", cat('<', site, ">: service unavailable"));
    }
    const Turn turn =
        take_turn(server_.etrn_sites, ascii::lower(site), server_.loop.now(), server_.settings.etrn_interval);
    if (turn == Turn::WasJustNow)
        co_return smtp::Reply(250, "", "Queuing started");
    if (turn == Turn::TooMany) {
        log::warning("ETRN ", site, " from ", client_.label(), ": too many different domains are asked for");
        co_return smtp::Reply(458, "", "Unable to queue messages");
    }
    const Deadline deadline = Deadline::after(server_.settings.queue_timeout);
    auto flushed = co_await flush_site(server_.loop, site, deadline);
    if (!flushed) {
        server_.etrn_sites.erase(ascii::lower(site));
        log::warning("ETRN ", site, " from ", client_.label(), ": ", flushed.error().full_text());
        co_return smtp::Reply(458, "", "Unable to queue messages");
    }
    log::info("ETRN ", site, " from ", client_.label());
    co_return smtp::Reply(250, "", "Queuing started");
}

// No mail comes of it that an action of an access table could be done to.
Task<std::optional<smtp::Reply>> Session::judge_etrn(const std::string& site)
{
    Case asked = make_case(where_);
    asked.etrn_domain = site;
    Actions nothing;
    Evaluation evaluation(asked, nothing);
    constexpr Stage stages[] = {Stage::Client, Stage::Helo, Stage::Etrn};
    for (const Stage stage : stages) {
        if (!server_.settings.delay_reject && stage != Stage::Etrn)
            continue;
        Verdict verdict = co_await evaluation.judge(stage);
        if (verdict.refused())
            co_return refuse(verdict, where_);
    }
    const Verdict last = evaluation.final_word();
    if (last.refused())
        co_return refuse(last, where_);
    co_return std::nullopt;
}

} // namespace posthouse::smtpd
