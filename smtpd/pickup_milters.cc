// The session that milters see of a local submission, see pickup_milters.h.
#include "smtpd/pickup_milters.h"

#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "smtpd/milter_content.h"

namespace posthouse::pickup {

namespace {

constexpr std::string_view client_name = "localhost";
constexpr std::string_view client_address = "127.0.0.1";

class LocalMacros final : public milter::MacroValues {
public:
    explicit LocalMacros(const LocalMail& mail) : mail_(mail) {}
    std::optional<std::string> value(std::string_view name) const override
    {
        if (name == "i")
            return mail_.intake.id();
        if (name == "j" || name == "if_name")
            return mail_.hostname;
        if (name == "_")
            return cat(client_name, " [", client_address, ']');
        if (name == "client_name" || name == "client_ptr")
            return std::string(client_name);
        if (name == "client_addr")
            return std::string(client_address);
        if (name == "client_port" || name == "client_connections")
            return "0";
        if (name == "client_resolve")
            return "OK";
        if (name == "mail_addr")
            return mail_.sender;
        if (name == "rcpt_addr")
            return recipient;
        return std::nullopt;
    }

    std::string recipient;

private:
    const LocalMail& mail_;
};

// One message's way through the events. What comes of them is in `passage`, or an Error.
class Journey {
public:
    Journey(LocalMail& mail, milter::Chain& chain) : mail_(mail), chain_(chain), macros_(mail) {}

    Task<Result<Passage>> run(size_t header_limit);

private:
    Task<Result<void>> envelope();
    Result<void> heed(const milter::Verdict& verdict, std::string_view where);

    LocalMail& mail_;
    milter::Chain& chain_;
    LocalMacros macros_;
    Passage passage_ = Passage::Queue;
};

Result<void> Journey::heed(const milter::Verdict& verdict, std::string_view where)
{
    using Kind = milter::Verdict::Kind;
    std::string_view action;
    std::string text;
    switch (verdict.kind) {
    case Kind::Pass:
        return {};
    case Kind::Hold:
        if (std::exchange(mail_.envelope.hold, true))
            return {};
        action = "milter-hold";
        text = cat("milter triggers HOLD action", verdict.reason.empty() ? "" : ": ", verdict.reason);
        break;
    case Kind::Discard:
        passage_ = Passage::Discard;
        action = "milter-discard";
        text = "milter triggers DISCARD action";
        break;
    case Kind::Refuse:
        action = "milter-reject";
        text = verdict.reply.to_text();
        break;
    }
    log::info(mail_.intake.id(), ": ", action, ": ", where, " from ", client_name, '[', client_address, "]: ", text,
              "; from=<", mail_.sender, '>');
    if (verdict.kind != Kind::Refuse)
        return {};
    if (where == "RCPT") // there is nobody to be told of one recipient, and the others would go on without it
        return Error(ErrorKind::Temporary, "4.3.5",
                     "milter configuration error: it cannot refuse recipients of local submissions");
    const bool permanent = verdict.reply.permanent();
    return Error(permanent ? ErrorKind::Permanent : ErrorKind::Temporary,
                 verdict.reply.dsn.empty() ? permanent ? "5.7.1" : "4.7.1" : verdict.reply.dsn, verdict.reply.text);
}

Task<Result<void>> Journey::envelope()
{
    milter::ClientFacts client;
    client.name = client_name;
    client.address = client_address;
    milter::Verdict verdict = co_await chain_.connect(client, macros_);
    CO_CHECK(heed(verdict, "CONNECT"));
    verdict = co_await chain_.helo(mail_.hostname, macros_);
    CO_CHECK(heed(verdict, "HELO"));
    std::vector<std::string> words = {cat('<', mail_.sender, '>')};
    verdict = co_await chain_.mail(words, macros_);
    CO_CHECK(heed(verdict, "MAIL"));
    for (const mail::Recipient& recipient : mail_.envelope.recipients) {
        macros_.recipient = recipient.address;
        words.front() = cat('<', recipient.address, '>');
        verdict = co_await chain_.rcpt(words, macros_);
        CO_CHECK(heed(verdict, "RCPT"));
    }
    verdict = co_await chain_.data(macros_);
    co_return heed(verdict, "DATA");
}

Task<Result<Passage>> Journey::run(size_t header_limit)
{
    CO_CHECK(co_await mail_.intake.end_content());
    CO_CHECK(co_await envelope());
    if (passage_ == Passage::Discard)
        co_return Passage::Discard;
    smtpd::MilterContent content(mail_.message);
    CO_CHECK(co_await content.load(mail_.trace_size, header_limit));
    const milter::Verdict verdict = co_await chain_.message(content, macros_);
    CO_CHECK(heed(verdict, "END-OF-MESSAGE"));
    if (passage_ == Passage::Discard)
        co_return Passage::Discard;
    const bool anybody = content.change_envelope(mail_.envelope);
    if (!anybody && content.lost_recipient())
        co_return Error(ErrorKind::Temporary, "4.3.0", "no recipient is left");
    if (!anybody) {
        log::info(mail_.intake.id(), ": milter-discard: END-OF-MESSAGE: no recipient is left");
        co_return Passage::Discard;
    }
    content.finish(mail_.facts);
    co_return Passage::Queue;
}

} // namespace

Task<Result<Passage>> pass_milters(smtpd::MilterService& milters, LocalMail mail)
{
    auto session = co_await milters.begin(std::string(client_address));
    if (!session)
        co_return std::move(session.error());
    Journey journey(mail, (*session)->chain);
    co_return co_await journey.run(milters.settings.header_limit);
}

} // namespace posthouse::pickup
