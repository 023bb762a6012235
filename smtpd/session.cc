// The dialogue with one client, from the greeting to QUIT: see session.h. Reads a command, finds it in the table below,
// and answers. What takes more than a screen is elsewhere: who may do what (access.cc), the message itself (message.cc).
#include "smtpd/session.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/event/loop.h"
#include "lib/log/log.h"
#include "lib/mail/utf8.h"
#include "lib/net/resolver.h"
#include "lib/tls/stream.h"
#include "smtpd/milter_service.h"
#include "smtpd/screened_client.h"
#include "smtpd/server.h"
#include "smtpd/tls_service.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <new>
#include <sys/socket.h>

namespace posthouse::smtpd {

// In the order of the summary at the end of a session; the last row is for what is none of these.
const Session::Command Session::commands[command_count] = {
    {"HELO", &Session::cmd_helo, MustBeLast | Junk | BeforeTls | SmtpOnly},
    {"EHLO", &Session::cmd_ehlo, MustBeLast | Junk | BeforeTls | SmtpOnly},
    {"LHLO", &Session::cmd_lhlo, MustBeLast | Junk | BeforeTls | LmtpOnly},
    {"STARTTLS", &Session::cmd_starttls, MustBeLast | BeforeTls | NotRefused},
    {"AUTH", &Session::cmd_auth, NotRefused},
    {"MAIL", &Session::cmd_mail, 0},
    {"RCPT", &Session::cmd_rcpt, 0},
    {"DATA", &Session::cmd_data, MustBeLast},
    {"BDAT", &Session::cmd_bdat, 0},
    {"RSET", &Session::cmd_rset, Junk},
    {"NOOP", &Session::cmd_noop, MustBeLast | Junk | BeforeTls},
    {"VRFY", &Session::cmd_vrfy, MustBeLast | Junk | NotRefused},
    {"ETRN", &Session::cmd_etrn, MustBeLast | Junk | SmtpOnly},
    {"HELP", &Session::cmd_help, MustBeLast | Junk | BeforeTls},
    {"QUIT", &Session::cmd_quit, EndsSession | BeforeTls},
    {"XCLIENT", &Session::cmd_xclient, BeforeTls},
    {"XFORWARD", &Session::cmd_xforward, BeforeTls},
    {"UNKNOWN", &Session::cmd_unknown, BeforeTls},
};

namespace {

smtp::ChatLimits chat_limits(const Settings& settings)
{
    smtp::ChatLimits limits;
    limits.command_line = settings.line_length_limit;
    return limits;
}

bool contains(const std::vector<std::string>& words, std::string_view word)
{
    return std::any_of(words.begin(), words.end(), [&](const std::string& w) { return ascii::equal(w, word); });
}

// soft_bounce: what would be final is temporary, in both codes.
void soften(smtp::Reply& reply)
{
    if (!reply.permanent())
        return;
    reply.code -= 100;
    if (!reply.dsn.empty())
        reply.dsn.front() = '4';
}

// "Subject: x" where a command should be: a message whose sender has not noticed a refused DATA.
bool looks_like_header(std::string_view verb)
{
    return verb.size() > 1 && verb.find(':') == verb.size() - 1
           && std::all_of(verb.begin(), verb.end() - 1, [](char c) { return ascii::is_alnum(c) || c == '-'; });
}

} // namespace

Session::Session(Server& server, ByteStream& stream, Client client)
    : server_(server), chat_(stream, chat_limits(server.settings)), client_(std::move(client)), real_client_(client_)
{
    server_.sessions.insert(this);
}

Session::~Session()
{
    server_.sessions.erase(this);
}

// The wait ends as if the client had gone; say_goodbye knows better.
void Session::stop()
{
    if (waiting_)
        stop_receiving();
    else if (milters_ && !mail_)
        milters_->chain.hang_up(); // it waits for one
}

void Session::stop_receiving()
{
    (void)::shutdown(chat_.stream().fd(), SHUT_RD); // a stream without a socket has no idle clients
    if (milters_)
        milters_->chain.hang_up();
}

Task<void> Session::serve()
{
    if (server_.settings.peername_lookup && !client_.port.empty()) {
        const Deadline deadline = Deadline::after(server_.settings.dns_timeout);
        co_await look_up_name(client_, server_.resolver(), deadline);
        real_client_ = client_;
    }
    log::info("connect from ", client_.label());
    Result<void> ended;
    try {
        ended = co_await converse();
    } catch (const std::bad_alloc&) {
        reset_mail(); // what it holds may be enough to say goodbye with
        ended = Error::system("out of memory", ENOMEM);
    }
    if (!ended && !closing_ && !mute_)
        (void)co_await say_goodbye(ended.error()); // the connection may be gone
    co_await end_tls();
    end_screening(ended);
    log_end(ended);
    reset_mail();
}

Task<Result<void>> Session::converse()
{
    auto too_much = co_await count_visit();
    if (server_.tls && server_.tls->settings().wrapper) {
        if (!too_much)
            too_much = co_await refuse_handshake();
        closing_ = too_much.has_value(); // no handshake, which is what costs, and nothing to be said without one
        if (closing_)
            co_return Result<void>();
        CO_CHECK(co_await start_tls());
    }
    auto refusal = std::move(too_much);
    if (!refusal)
        refusal = co_await greeting();
    if (refusal)
        CO_CHECK(co_await send(*refusal));
    while (!closing_) {
        const Deadline deadline = Deadline::after(command_time());
        waiting_ = true;
        auto line = co_await chat_.read_command(deadline);
        waiting_ = false;
        if (!line)
            co_return std::move(line.error());
        forgive_ = false;
        auto unfiltered = co_await filter_command(*line);
        const Command& command = find_command(line->verb());
        counts_[&command - commands].all++;
        Result<smtp::Reply> reply = smtp::Reply();
        if (unfiltered)
            reply = std::move(*unfiltered);
        else
            reply = co_await execute(command, *line);
        if (command.handle == &Session::cmd_auth)
            wipe(line->line);
        if (!reply)
            co_return std::move(reply.error());
        count(command, *reply);
        if (reply->code == 421 || reply->code == 521 || (command.flags & EndsSession) != 0)
            closing_ = true;
        CO_CHECK(co_await send(*reply));
        if (starting_tls_) {
            counts_[&command - commands].good--; // until the handshake is done
            CO_CHECK(co_await start_tls());
            counts_[&command - commands].good++;
            auto refused = check_client_certificate();
            if (refused) {
                closing_ = true;
                CO_CHECK(co_await send(*refused));
            }
        }
        if (!closing_ && server_.stopping)
            co_return Error::disconnected("stopping");
        if (!closing_ && server_.settings.hard_error_limit > 0 && errors_ >= server_.settings.hard_error_limit) {
            log::info("too many errors after ", where_, " from ", client_.label());
            closing_ = true;
            CO_CHECK(co_await send(smtp::Reply(421, "4.7.0", cat(server_.settings.hostname, " Error: too many errors"))));
        }
    }
    const Deadline deadline = Deadline::after(server_.settings.timeout);
    co_return co_await chat_.flush(deadline);
}

// Why there is no greeting: smtpd_client_connection_count_limit and its kin.
Task<std::optional<smtp::Reply>> Session::count_visit()
{
    const Settings& settings = server_.settings;
    visit_ = server_.counters.connect(client_.ip, server_.loop.now());
    const bool limited = co_await limits_apply();
    const Instant now = server_.loop.now();
    const bool too_many = settings.connection_count_limit > 0 && visit_.connections_exceed(settings.connection_count_limit, now);
    const bool too_fast = settings.connection_rate_limit > 0 && visit_.connection_rate(now) > settings.connection_rate_limit;
    if (limited && (too_many || too_fast)) {
        log::warning(too_many ? "Connection concurrency limit exceeded: " : "Connection rate limit exceeded: ",
                     too_many ? visit_.connections() : visit_.connection_rate(now), " from ", client_.label());
        closing_ = true;
        co_return smtp::Reply(421, "4.7.0",
                              cat(settings.hostname, " Error: ", too_many ? "too many connections" : "too frequent connections",
                                  " from ", client_.address));
    }
    co_return std::nullopt;
}

// For a client that has a session already (XCLIENT).
Task<std::optional<smtp::Reply>> Session::welcome()
{
    auto too_much = co_await count_visit();
    if (too_much)
        co_return too_much;
    co_return co_await greeting();
}

// The greeting, or why there is none.
Task<std::optional<smtp::Reply>> Session::greeting()
{
    auto untrusted = check_client_certificate();
    if (untrusted) {
        closing_ = true;
        co_return untrusted;
    }
    const Settings& settings = server_.settings;
    if (!settings.delay_reject) {
        auto refusal = co_await judge_stage(Stage::Client, "CONNECT");
        if (refusal) {
            access_denied_ = true;
            closing_ = refusal->code == 421 || refusal->code == 521;
            co_return refusal;
        }
    }
    auto refused = co_await milters_connect();
    if (refused)
        co_return refused;
    co_return smtp::Reply(220, "", settings.banner);
}

Task<Result<void>> Session::send(const smtp::Reply& reply)
{
    if (server_.settings.soft_error_limit > 0 && errors_ >= server_.settings.soft_error_limit)
        co_await sleep_for(server_.loop, server_.settings.error_sleep_time);
    co_return co_await write(reply);
}

// Of a refusal, the text that the administrator wants, and soft_bounce's codes.
Task<Result<void>> Session::write(const smtp::Reply& reply)
{
    const Deadline deadline = Deadline::after(server_.settings.timeout);
    if (reply.code < 400 || (!server_.reject_text && !server_.settings.soft_bounce))
        co_return co_await chat_.send(reply, deadline);
    smtp::Reply refusal = reply;
    if (server_.reject_text) {
        FooterFacts facts = footer_facts();
        co_await server_.reject_text->dress(refusal, std::move(facts));
    }
    if (server_.settings.soft_bounce)
        soften(refusal);
    co_return co_await chat_.send(refusal, deadline);
}

Session::Answer Session::execute(const Command& command, const smtp::CommandLine& line)
{
    if (screened_) {
        auto last_words = co_await screen(command, line);
        if (last_words)
            co_return std::move(*last_words);
    }
    where_ = command.name;
    auto refusal = refuse_early(command, line);
    if (refusal)
        co_return std::move(*refusal);
    if (line.bare_lf && server_.settings.forbid_bare_newline != BareNewline::Accept) {
        const bool legacy = co_await legacy_line_ends();
        if (!legacy && server_.settings.forbid_bare_newline == BareNewline::Reject) {
            log::info("disconnect: bare <LF> received after ", where_, " from ", client_.label());
            closing_ = true;
            co_return bare_newline_reply();
        }
    }
    if (command.handle == &Session::cmd_unknown) {
        const bool foreign = co_await is_foreign(line, *server_.forbidden_commands);
        if (foreign) {
            log_foreign_command(line.line);
            closing_ = true;
            co_return smtp::Reply(221, "2.7.0", "Error: this is a mail server. Goodbye.");
        }
    }
    if (command.handle != &Session::cmd_unknown)
        auth_was_last_ = false;
    co_return co_await (this->*command.handle)(line);
}

// A browser, or a proxy that somebody has pointed at us to speak SMTP in a request's body.
Task<bool> Session::is_foreign(const smtp::CommandLine& line, table::MatchList& forbidden)
{
    const std::string verb(line.verb());
    Result<bool> listed = co_await forbidden.matches_string(verb);
    co_return looks_like_header(verb) || (listed && *listed);
}

// A client that does not look at the reply to AUTH goes on with its password.
void Session::log_foreign_command(std::string_view line) const
{
    log::warning("non-SMTP command from ", client_.label(), ": ", shown(line));
}

std::string_view Session::shown(std::string_view line) const
{
    return auth_was_last_ ? std::string_view("(not shown: it follows AUTH)") : line.substr(0, 100);
}

// What is wrong with a command before it is looked at.
std::optional<smtp::Reply> Session::refuse_early(const Command& command, const smtp::CommandLine& line)
{
    if (line.too_long)
        return smtp::Reply(500, "5.5.2", "Error: line too long");
    if (line.verb().empty() || line.has_nul)
        return smtp::Reply(500, "5.5.2", "Error: bad syntax");
    if (server_.settings.smtputf8_enable && !mail::is_utf8(line.line))
        return smtp::Reply(500, "5.5.2", "Error: bad UTF-8 syntax");
    if (access_denied_ && (command.flags & EndsSession) == 0)
        return smtp::Reply(503, "5.7.0", cat("Error: access denied for ", client_.label()));
    if ((command.flags & BeforeTls) == 0 && must_start_tls())
        return smtp::Reply(530, "5.7.0", "Must issue a STARTTLS command first");
    if ((command.flags & NotRefused) != 0)
        if (auto refused = milters_standing_refusal())
            return refused;
    if (!pipelined_ && improperly_pipelined(command, line)) {
        pipelined_ = true;
        log::info("improper command pipelining after ", where_, " from ", client_.label());
        if (server_.settings.forbid_unauth_pipelining) {
            closing_ = true;
            return smtp::Reply(554, "5.5.0", "Error: SMTP protocol synchronization");
        }
    }
    return std::nullopt;
}

bool Session::improperly_pipelined(const Command& command, const smtp::CommandLine& line) const
{
    // What follows BDAT is its chunk.
    const bool is_bdat = command.handle == &Session::cmd_bdat;
    const bool may_pipeline = is_bdat || (extended() && (command.flags & MustBeLast) == 0);
    return line.pipelined && !may_pipeline;
}

const Session::Command& Session::find_command(std::string_view verb) const
{
    const Command* unknown = std::end(commands) - 1;
    const Command* found = std::find_if(std::begin(commands), unknown,
                                        [&](const Command& command) { return knows(command) && ascii::equal(command.name, verb); });
    if (found == unknown && contains(server_.settings.noop_commands, verb))
        return *std::find_if(std::begin(commands), unknown, [](const Command& c) { return c.name == "NOOP"; });
    return *found;
}

// RFC 2033 section 4: LHLO in place of HELO and EHLO, so that neither protocol is taken for the other.
bool Session::knows(const Command& command) const
{
    return (command.flags & (server_.lmtp ? SmtpOnly : LmtpOnly)) == 0;
}

void Session::count(const Command& command, const smtp::Reply& reply)
{
    const bool good = reply.code < 400 && command.handle != &Session::cmd_unknown;
    if (good)
        counts_[&command - commands].good++;
    else if (!forgive_)
        ++errors_;
    if ((command.flags & Junk) != 0 && junk_++ >= server_.settings.junk_command_limit
        && server_.settings.junk_command_limit > 0)
        ++errors_;
}

// False for clients in smtpd_client_event_limit_exceptions.
Task<bool> Session::limits_apply()
{
    if (!limits_apply_) {
        Result<bool> except = co_await server_.rate_limit_exceptions->matches_client(client_.name, client_.ip);
        limits_apply_ = !(except && *except);
    }
    co_return *limits_apply_;
}

// True when a bare LF is a line end for this client: smtpd_forbid_bare_newline = no, or an exclusion.
Task<bool> Session::legacy_line_ends()
{
    if (!legacy_line_ends_) {
        bool legacy = server_.settings.forbid_bare_newline == BareNewline::Accept;
        if (!legacy && !server_.bare_newline_exclusions->empty()) {
            Result<bool> excluded = co_await server_.bare_newline_exclusions->matches_client(client_.name, client_.ip);
            legacy = excluded && *excluded;
        }
        legacy_line_ends_ = legacy;
    }
    co_return *legacy_line_ends_;
}

Case Session::make_case(std::string_view where, const Mailbox* recipient)
{
    Case asked{server_, client_, in_mynetworks_, helo_, protocol_, where};
    asked.sender = mail_ ? &mail_->sender : nullptr;
    asked.recipient = recipient;
    asked.recipient_count = mail_ ? mail_->envelope.recipients.size() : 0;
    asked.pipelined = pipelined_;
    asked.login = login_.user;
    asked.login_method = login_.method;
    asked.tls = tls_info();
    asked.own_certificate = !for_another_;
    if (mail_)
        add_mail_facts(asked);
    return asked;
}

void Session::add_mail_facts(Case& asked)
{
    const auto& recipients = mail_->envelope.recipients;
    if (!mail_->queue_id.empty())
        asked.queue_id = mail_->queue_id;
    asked.login_sender = mail_->envelope.sasl_sender;
    asked.size = asked.where == "END-OF-MESSAGE" ? mail_->reader.size() : mail_->declared_size;
    asked.instance = &mail_->instance;
    if (!asked.recipient && recipients.size() == 1)
        asked.only_recipient = recipients.front().original;
}

// Logs the refusal in Postfix's shape and makes it the reply.
smtp::Reply Session::refuse(const Verdict& verdict, std::string_view where, const Mailbox* recipient)
{
    const Case asked = make_case(where, recipient);
    log::info(asked.queue_id, ": reject: ", where, " from ", client_.label(), ": ", verdict.code, ' ', verdict.dsn, ' ',
              verdict.text, log_context(asked));
    return smtp::Reply(verdict.code, verdict.dsn, verdict.text);
}

// One list outside of RCPT, whose deferrals take effect at once.
Task<std::optional<smtp::Reply>> Session::judge_stage(Stage stage, std::string_view where)
{
    if (server_.restrictions->list(stage).empty())
        co_return std::nullopt;
    const bool before_recipients = stage == Stage::Client || stage == Stage::Helo || stage == Stage::Sender;
    const Case asked = make_case(where);
    Actions actions;
    if (before_recipients)
        actions.take_deferrals(mail_ ? &mail_->actions : standing_actions_.get());
    Evaluation evaluation(asked, actions);
    Verdict verdict = co_await evaluation.judge(stage);
    if (!verdict.refused() && !before_recipients)
        verdict = evaluation.final_word();
    if (verdict.refused())
        co_return refuse(verdict, where);
    if (!mail_ && !standing_actions_)
        standing_actions_ = std::make_unique<Actions>();
    Actions& standing = mail_ ? mail_->actions : *standing_actions_;
    standing.add(actions);
    if (before_recipients) {
        evaluation.keep_deferrals();
        standing.take_deferrals(&actions);
    }
    co_return std::nullopt;
}

void Session::reset_mail()
{
    milters_abort();
    mail_.reset();
    forwarded_.reset();
    content_bytes_ = 0;
    chunks_refused_ = false;
}

} // namespace posthouse::smtpd
