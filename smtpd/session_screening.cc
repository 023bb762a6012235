// A client that is not known yet, in its session: the tests after the greeting, and what is held against it from before.
// See screening.h. Unlike with postscreen the session that tests is the real one: who behaves has its mail taken at once.
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "smtpd/screening.h"
#include "smtpd/server.h"
#include "smtpd/session.h"

namespace posthouse::smtpd {

namespace {

const smtp::Reply& protocol_error()
{
    static const smtp::Reply reply(550, "5.5.1", "Protocol error");
    return reply;
}

} // namespace

void Session::watch_client(std::unique_ptr<ScreenedClient> client) { screened_ = std::move(client); }

// What there is against this command, which ends the session; where_ is still the one before.
Task<std::optional<smtp::Reply>> Session::screen(const Command& command, const smtp::CommandLine& line)
{
    auto limit = exceeds_screening_limits(line);
    if (limit)
        co_return limit;
    ScreenedClient& client = *screened_;
    std::optional<smtp::Reply> last_words;
    if (line.bare_lf && client.due().has(ScreenTest::BareNewline)) {
        log::info("BARE NEWLINE from ", client.label(), " after ", where_);
        last_words = client.fail(ScreenTest::BareNewline, protocol_error());
    }
    if (!last_words && client.due().has(ScreenTest::NonSmtp) && command.handle == &Session::cmd_unknown) {
        const bool foreign = co_await is_foreign(line, client.screening().forbidden_commands());
        if (foreign) {
            log::info("NON-SMTP COMMAND from ", client.label(), " after ", where_, ": ", shown(line.line));
            last_words = client.fail(ScreenTest::NonSmtp, protocol_error());
        }
    }
    if (!last_words && client.due().has(ScreenTest::Pipelining) && improperly_pipelined(command, line)) {
        log::info("COMMAND PIPELINING from ", client.label(), " after ", command.name);
        last_words = client.fail(ScreenTest::Pipelining, protocol_error());
    }
    if (last_words)
        co_return last_words;
    client.reached_recipient |= mail_ && command.handle == &Session::cmd_rcpt;
    // Who comes to the content has behaved.
    const bool has_recipient = mail_ && !mail_->envelope.recipients.empty();
    if (has_recipient && (command.handle == &Session::cmd_data || command.handle == &Session::cmd_bdat))
        pass_screening();
    co_return std::nullopt;
}

// A session that leads nowhere need not be served for long.
std::optional<smtp::Reply> Session::exceeds_screening_limits(const smtp::CommandLine& line)
{
    ScreenedClient& client = *screened_;
    if (!client.refusal())
        return std::nullopt;
    if (line.too_long) {
        log::info("COMMAND LENGTH LIMIT from ", client.label(), " after ", where_);
        return smtp::Reply(421, "4.7.0", cat(server_.settings.hostname, " Error: line too long"));
    }
    if (client.count_command() > client.screening().settings().command_count_limit) {
        log::info("COMMAND COUNT LIMIT from ", client.label(), " after ", where_);
        return smtp::Reply(421, "4.7.0", cat(server_.settings.hostname, " Error: too many commands"));
    }
    return std::nullopt;
}

Duration Session::command_time() const
{
    const bool leads_nowhere = screened_ && screened_->refusal();
    return leads_nowhere ? screened_->screening().settings().command_time_limit : server_.settings.timeout;
}

// It has passed what was left to pass.
void Session::pass_screening()
{
    if (screened_->refusal())
        return;
    for (const ScreenTest test : {ScreenTest::Pipelining, ScreenTest::NonSmtp, ScreenTest::BareNewline})
        screened_->pass(test);
    screened_->conclude();
    screened_.reset();
}

void Session::end_screening(const Result<void>& ended)
{
    if (!screened_)
        return;
    const std::string label = screened_->label();
    if (!ended && !closing_ && !server_.stopping) {
        const bool slow = ended.error().kind() == ErrorKind::TimedOut;
        if (slow && screened_->refusal())
            log::info("COMMAND TIME LIMIT from ", label, " after ", where_);
        else if (!slow)
            log::info("HANGUP after ", seconds_text(screened_->age()), " from ", label, " in tests after SMTP handshake");
    }
    if (screened_->reached_recipient)
        pass_screening();
    if (screened_) // it did not pass
        log::info("DISCONNECT ", label);
}

} // namespace posthouse::smtpd
