// Who connects, before the greeting: see screening.h.
#include "smtpd/screening.h"

#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "lib/event/loop.h"
#include "lib/log/log.h"
#include "smtpd/early_tests.h"

#include <algorithm>
#include <sys/socket.h>

namespace posthouse::smtpd {

namespace {

constexpr Duration last_word_time = Duration::seconds(5);

struct TestParameters {
    ScreenTest test;
    const char* enable; // null: not a switch
    const char* action;
    const char* ttl;
};
constexpr TestParameters test_parameters[] = {
    {ScreenTest::Greet, nullptr, "postscreen_greet_action", "postscreen_greet_ttl"},
    {ScreenTest::Dnsbl, nullptr, "postscreen_dnsbl_action", "postscreen_dnsbl_max_ttl"},
    {ScreenTest::Pipelining, "postscreen_pipelining_enable", "postscreen_pipelining_action", "postscreen_pipelining_ttl"},
    {ScreenTest::NonSmtp, "postscreen_non_smtp_command_enable", "postscreen_non_smtp_command_action",
     "postscreen_non_smtp_command_ttl"},
    {ScreenTest::BareNewline, "postscreen_bare_newline_enable", "postscreen_bare_newline_action",
     "postscreen_bare_newline_ttl"},
};

ScreenAction action_of(const std::string& word)
{
    return word == "drop" ? ScreenAction::Drop : word == "enforce" ? ScreenAction::Enforce : ScreenAction::Ignore;
}

// An old name of postscreen_allowlist_interfaces may be the one that is set.
std::string allowlist_parameter(const config::Config& config)
{
    const bool old_name = config.is_set("postscreen_whitelist_interfaces") && !config.is_set("postscreen_allowlist_interfaces");
    return old_name ? "postscreen_whitelist_interfaces" : "postscreen_allowlist_interfaces";
}

Result<std::vector<trust::DnsList>> parse_dns_lists(const config::Config& config)
{
    std::vector<trust::DnsList> lists;
    for (const std::string& word : config.list("postscreen_dnsbl_sites")) {
        auto list = trust::DnsList::parse_weighted(word);
        if (!list)
            return std::move(list.error()).within("postscreen_dnsbl_sites");
        lists.push_back(std::move(*list));
    }
    return lists;
}

template <class T>
Result<void> keep(std::unique_ptr<T>& into, Result<std::unique_ptr<T>> opened)
{
    if (!opened)
        return std::move(opened.error());
    into = std::move(*opened);
    return Result<void>();
}

// What the client has said and nobody reads would reset the connection, and our last words with it.
void forget_input(int fd)
{
    char bytes[4096];
    for (int count = 0; count < 16 && ::recv(fd, bytes, sizeof bytes, MSG_DONTWAIT) > 0; ++count) {
    }
}

} // namespace

ScreeningSettings::ScreeningSettings(const config::Config& config)
    : hostname(config.text("myhostname")),
      greet_wait(config.duration("postscreen_greet_wait")),
      denylist_action(action_of(config.text("postscreen_denylist_action"))),
      dnsbl_threshold(static_cast<int>(config.number("postscreen_dnsbl_threshold"))),
      dnsbl_allow_threshold(static_cast<int>(config.number("postscreen_dnsbl_allowlist_threshold"))),
      dnsbl_timeout(config.duration("postscreen_dnsbl_timeout")),
      retention(config.duration("postscreen_cache_retention_time")),
      connection_limit(static_cast<uint32_t>(config.number("postscreen_client_connection_count_limit"))),
      waiting_limit(static_cast<size_t>(config.number("postscreen_pre_queue_limit"))),
      command_count_limit(static_cast<uint32_t>(config.number("postscreen_command_count_limit"))),
      command_time_limit(config.duration("postscreen_command_time_limit"))
{
    for (const TestParameters& row : test_parameters) {
        Test& test = tests[static_cast<size_t>(row.test)];
        test.action = action_of(config.text(row.action));
        test.ttl = config.duration(row.ttl);
        if (row.enable && config.boolean(row.enable))
            enabled.add(row.test);
    }
    // Of TLS from the first byte the client has the first word.
    if (!config.boolean("smtpd_tls_wrappermode"))
        enabled.add(ScreenTest::Greet);
    if (!config.list("postscreen_dnsbl_sites").empty())
        enabled.add(ScreenTest::Dnsbl);
    if (const std::string& banner = config.text("postscreen_greet_banner"); !banner.empty())
        teaser = cat("220-", banner, "\r\n");
}

Screening::Screening(const config::Config& config, Loop& loop, AskResolver resolver)
    : loop_(loop), settings_(config), resolver_(std::move(resolver))
{
}

Screening::~Screening() = default;

bool Screening::wanted(const config::Config& config) { return config.boolean("smtpd_screening_enable"); }

Result<std::unique_ptr<Screening>> Screening::open(const config::Config& config, const table::Context& context,
                                                   table::MatchList* mynetworks, AskResolver resolver)
{
    std::unique_ptr<Screening> screening(new Screening(config, *context.loop, std::move(resolver)));
    auto dns_lists = parse_dns_lists(config);
    if (!dns_lists)
        return std::move(dns_lists.error());
    screening->dns_lists_ = std::move(*dns_lists);
    RETURN_IF_ERROR(keep(screening->access_, ScreeningAccess::open(config.text("postscreen_access_list"), mynetworks, context)));
    const std::string interfaces = allowlist_parameter(config);
    RETURN_IF_ERROR(keep(screening->allowlist_interfaces_,
                         table::MatchList::open(interfaces, config.text(interfaces), false, context)));
    RETURN_IF_ERROR(keep(screening->forbidden_commands_,
                         table::MatchList::open("postscreen_forbidden_commands", config.text("postscreen_forbidden_commands"),
                                                false, context)));
    RETURN_IF_ERROR(keep(screening->reply_map_, table::Maps::open("postscreen_dnsbl_reply_map",
                                                                  config.text("postscreen_dnsbl_reply_map"), context)));
    return screening;
}

Result<void> Screening::open_cache(const config::Config& config)
{
    const std::string& name = config.text("postscreen_cache_map");
    if (name.empty())
        return Result<void>();
    return keep(cache_, table::Cache::open(name));
}

bool Screening::stale() const
{
    return access_->stale() || allowlist_interfaces_->stale() || forbidden_commands_->stale() || reply_map_->stale()
           || (cache_ && cache_->stale());
}

void Screening::stop()
{
    stopping_ = true;
    for (EarlyTests* tests : waiting_)
        tests->stop();
}

// ---- one client

Screening::Presence::Presence(Screening& screening, const net::IpAddress& client)
    : screening_(screening), entry_(*screening.connections_.try_emplace(std::string(client.bytes())).first)
{
    ++entry_.second;
}

Screening::Presence::~Presence()
{
    if (--entry_.second == 0)
        screening_.connections_.erase(std::string(entry_.first));
}

Task<Admission> Screening::admit(ByteStream& stream, Ends ends)
{
    log::info("CONNECT from ", ends.client_text(), " to ", ends.server_text());
    const Presence presence(*this, ends.client.ip);
    if (settings_.connection_limit > 0 && presence.connections() > settings_.connection_limit) {
        log::info("NOQUEUE: reject: CONNECT from ", ends.client_text(), ": too many connections");
        const smtp::Reply reply(421, "4.7.0", cat(settings_.hostname, " Error: too many connections"));
        co_await turn_away(stream, ends, reply);
        co_return Admission::none();
    }
    const ScreeningAccess::Answer listed = co_await access_->look_up(ends.client.ip);
    if (listed == ScreeningAccess::Answer::Permit) {
        log::info("ALLOWLISTED ", ends.client_text());
        co_return Admission::free();
    }
    auto client = std::make_unique<ScreenedClient>(*this, ends);
    if (listed == ScreeningAccess::Answer::Reject) {
        log::info("DENYLISTED ", ends.client_text());
        const smtp::Reply reply(550, "5.3.2", "Service currently unavailable");
        const auto last_words = client->punish(settings_.denylist_action, reply);
        if (last_words) {
            co_await turn_away(stream, ends, *last_words);
            co_return Admission::none();
        }
    }
    const bool stays = co_await test(stream, *client);
    if (!stays)
        co_return Admission::none();
    client->conclude();
    if (client->done())
        co_return Admission::free();
    co_return Admission::watched(std::move(client));
}

// False: the connection is over.
Task<bool> Screening::test(ByteStream& stream, ScreenedClient& client)
{
    client.recall();
    if (client.due().empty())
        co_return true;
    const bool may_pass = co_await may_pass_here(client.ends());
    if (!may_pass) {
        log::info("ALLOWLIST VETO ", client.label());
        const smtp::Reply reply(450, "4.3.2", "Service currently unavailable");
        (void)client.punish(ScreenAction::Enforce, reply); // which has no last words
        client.forget_passes();
    }
    if (!client.due().any_of(TestSet::before_greeting()))
        co_return true;
    if (waiting_.size() >= settings_.waiting_limit) {
        log::info("NOQUEUE: reject: CONNECT from ", client.label(), ": all screening ports busy");
        const smtp::Reply reply(421, "4.3.2", cat(settings_.hostname, " Error: too many connections"));
        co_await turn_away(stream, client.ends(), reply);
        co_return false;
    }
    co_return co_await test_before_greeting(stream, client);
}

Task<bool> Screening::test_before_greeting(ByteStream& stream, ScreenedClient& client)
{
    EarlyTests tests(*this, stream, client);
    const EarlyTests::End end = co_await tests.run();
    if (end == EarlyTests::End::Over)
        co_return true;
    if (end == EarlyTests::End::Gone) {
        log::info("HANGUP after ", seconds_text(client.age()), " from ", client.label(), " in tests before SMTP handshake");
        log::info("DISCONNECT ", client.label());
        co_return false;
    }
    smtp::Reply reply(421, "4.3.2", cat(settings_.hostname, " Service is shutting down"));
    if (end == EarlyTests::End::Dropped)
        reply = tests.last_words();
    co_await turn_away(stream, client.ends(), reply);
    co_return false;
}

// On a secondary address, say, one may not become known: robots like those (postscreen_allowlist_interfaces).
Task<bool> Screening::may_pass_here(const Ends& ends)
{
    const std::string no_name;
    Result<bool> found = co_await allowlist_interfaces_->matches_client(no_name, ends.server.ip.unmapped());
    co_return !found || *found;
}

Task<void> Screening::turn_away(ByteStream& stream, const Ends& ends, const smtp::Reply& reply)
{
    const Deadline deadline = Deadline::after(last_word_time);
    const std::string words = reply.to_wire();
    (void)co_await stream.write_all(words, deadline); // it may be gone
    forget_input(stream.fd());
    log::info("DISCONNECT ", ends.client_text());
}

Task<std::string> Screening::public_name(std::string dns_list)
{
    table::Value mapped = co_await reply_map_->lookup(dns_list);
    if (!mapped)
        log::warning(mapped.error().full_text());
    if (!mapped || !*mapped)
        co_return dns_list;
    co_return **mapped;
}

std::optional<PassRecord> Screening::recall(const net::IpAddress& client, int64_t now)
{
    if (!cache_)
        return std::nullopt;
    const auto entry = cache_->get(client.to_text(), now);
    return entry ? PassRecord::parse(entry->value) : std::nullopt;
}

void Screening::remember(const net::IpAddress& client, const PassRecord& record, int64_t now)
{
    if (!cache_)
        return;
    const int64_t forgotten = record.end() + settings_.retention.whole_seconds();
    (void)cache_->put(client.to_text(), record.to_text(), forgotten, now); // else it is new again the next time
}

} // namespace posthouse::smtpd
