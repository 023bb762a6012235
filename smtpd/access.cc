// check_*_access: which keys an access table is asked for, and what its result means (access(5)).
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/table/maps.h"
#include "lib/tls/session_info.h"
#include "smtpd/evaluation.h"
#include "smtpd/server.h"

#include <algorithm>
#include <iterator>

namespace posthouse::smtpd {

namespace {

// What the first word of a result asks for. Those with a reply also take a text of the administrator's.
enum class Do : unsigned char {
    Ok, Dunno, Reject, Defer, DeferIfPermit, DeferIfReject, Hold, Discard, Filter, Redirect, Prepend, Bcc, Warn, Info
};
struct ActionName {
    std::string_view name;
    Do action;
};
constexpr ActionName action_names[] = {
    {"OK", Do::Ok},
    {"RELAY", Do::Ok},
    {"DUNNO", Do::Dunno},
    {"REJECT", Do::Reject},
    {"DEFER", Do::Defer},
    {"DEFER_IF_PERMIT", Do::DeferIfPermit},
    {"DEFER_IF_REJECT", Do::DeferIfReject},
    {"HOLD", Do::Hold},
    {"DISCARD", Do::Discard},
    {"FILTER", Do::Filter},
    {"REDIRECT", Do::Redirect},
    {"PREPEND", Do::Prepend},
    {"BCC", Do::Bcc},
    {"WARN", Do::Warn},
    {"INFO", Do::Info},
};

bool all_digits(std::string_view text)
{
    return !text.empty() && std::all_of(text.begin(), text.end(), ascii::is_digit);
}

// "host:port" and "user" are not header lines; "Name: body" is.
bool is_header_line(std::string_view text)
{
    const size_t colon = text.find(':');
    return colon != std::string_view::npos && colon > 0
           && std::none_of(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(colon),
                           [](char c) { return ascii::is_blank(c) || ascii::is_control(c) || ascii::is_8bit(c); });
}

// RFC 3463: what X.1.Y says of a recipient is X.1.Z of a sender, and makes no sense of anything else.
std::string fitting_dsn(std::string_view dsn, Subject subject)
{
    constexpr std::string_view of_sender[] = {"1.0", "1.7", "1.8", "1.7", "1.7", "1.0", "1.7", "1.7", "1.8"};
    constexpr std::string_view of_recipient[] = {"1.0", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.3", "1.2"};
    std::string fitting(dsn);
    if (dsn.size() != 5 || !dsn.substr(1).starts_with(".1.") || dsn[4] > '8')
        return fitting;
    const auto last = static_cast<size_t>(dsn[4] - '0');
    const bool of_address = subject == Subject::Sender || subject == Subject::Recipient;
    fitting.replace(2, 3, !of_address ? "0.0" : subject == Subject::Sender ? of_sender[last] : of_recipient[last]);
    return fitting;
}

} // namespace

// "5.7.1 text" into its two parts; the code is empty when there is none.
std::string_view Evaluation::take_dsn(std::string_view& text)
{
    size_t at = 0;
    int dots = 0;
    while (at < text.size() && (ascii::is_digit(text[at]) || text[at] == '.'))
        dots += text[at++] == '.';
    const bool is_code = dots == 2 && at >= 5 && (text[0] == '2' || text[0] == '4' || text[0] == '5') && text[1] == '.'
                         && ascii::is_digit(text[at - 1]) && (at == text.size() || ascii::is_blank(text[at]));
    if (!is_code)
        return std::string_view();
    const std::string_view dsn = text.substr(0, at);
    text = ascii::trim(text.substr(at));
    return dsn;
}

Task<Verdict> Evaluation::check_access(const Rule& rule)
{
    const Subject subject = static_cast<Subject>(rule.type->variant);
    table::Value found = std::optional<std::string>();
    switch (subject) {
    case Subject::Client:
        found = co_await find_client(*rule.maps, case_.client.name);
        break;
    case Subject::ReverseClient:
        found = co_await find_client(*rule.maps, case_.client.reverse_name);
        break;
    case Subject::ClientCertificate:
        found = co_await find_certificate(*rule.maps);
        break;
    case Subject::Login:
        if (!case_.login.empty())
            found = co_await rule.maps->lookup(std::string(case_.login));
        break;
    case Subject::Helo:
        if (!case_.helo.empty())
            found = co_await find_domain(*rule.maps, case_.helo);
        break;
    case Subject::Etrn:
        if (!case_.etrn_domain.empty())
            found = co_await find_domain(*rule.maps, std::string(case_.etrn_domain));
        break;
    default:
        if (const Mailbox* box = mailbox(subject))
            found = co_await find_address(*rule.maps, *box);
        break;
    }
    if (!found)
        co_return lookup_failure(subject);
    if (!*found)
        co_return Verdict();
    std::string result = std::move(**found);
    co_return co_await apply(std::move(result), subject, rule.text);
}

// By the fingerprint of the client's certificate, then by that of its key. It need not be trusted: the entry is the trust.
Task<table::Value> Evaluation::find_certificate(table::Maps& maps)
{
    if (!case_.tls || !case_.own_certificate || !case_.tls->has_peer_certificate())
        co_return std::optional<std::string>();
    table::Value found = co_await maps.lookup(case_.tls->certificate_fingerprint);
    if (!found || *found)
        co_return found;
    co_return co_await maps.lookup(case_.tls->key_fingerprint);
}

// The name with its parents, then the address with its shorter prefixes: 192.0.2.1, 192.0.2, 192.0, 192.
Task<table::Value> Evaluation::find_client(table::Maps& maps, std::string_view name)
{
    std::string key(name);
    table::Value found = co_await find_domain(maps, key);
    if (!found || *found)
        co_return found;
    co_return co_await find_address_prefixes(maps, case_.client.ip);
}

Task<table::Value> Evaluation::find_address_prefixes(table::Maps& maps, net::IpAddress address)
{
    const char separator = address.v4() ? '.' : ':';
    std::string key = address.to_text();
    table::Value found = co_await maps.lookup(key);
    while (found && !*found) {
        const size_t cut = key.rfind(separator);
        if (cut == std::string::npos)
            break;
        key.resize(cut);
        found = co_await maps.lookup_partial(key);
    }
    co_return found;
}

Task<table::Value> Evaluation::find_domain(table::Maps& maps, std::string domain)
{
    table::Value found = co_await maps.lookup(domain);
    if (!found || *found)
        co_return found;
    // An address literal has no parents.
    if (domain.empty() || domain.front() == '[' || domain.find('.') == std::string::npos)
        co_return found;
    const bool bare_parents = case_.server.settings.access_parent_domains;
    for (size_t dot = domain.find('.'); dot != std::string::npos; dot = domain.find('.', dot + 1)) {
        std::string key = domain.substr(bare_parents ? dot + 1 : dot);
        found = co_await maps.lookup_partial(key);
        if (!found || *found)
            break;
    }
    co_return found;
}

// user+ext@domain, user@domain, domain and parents, user+ext@, user@: access(5), EMAIL ADDRESS PATTERNS.
Task<table::Value> Evaluation::find_address(table::Maps& maps, const Mailbox& mailbox)
{
    if (mailbox.completed.empty()) {
        std::string key = case_.server.settings.null_access_key;
        co_return co_await maps.lookup(key);
    }
    const std::string address = mailbox.completed;
    const std::string domain(mailbox.domain());
    const std::string local = address.substr(0, address.size() - domain.size() - (domain.empty() ? 0 : 1));
    const size_t extension = table::find_extension(local, case_.server.settings.recipient_delimiter);
    const std::string bare = extension == std::string::npos ? std::string() : local.substr(0, extension);

    table::Value found = co_await maps.lookup(address);
    if (found && !*found && !bare.empty() && !domain.empty()) {
        std::string key = cat(bare, '@', domain);
        found = co_await maps.lookup_partial(key);
    }
    if (found && !*found && !domain.empty()) {
        found = co_await maps.lookup_partial(domain);
        const bool bare_parents = case_.server.settings.access_parent_domains;
        for (size_t dot = domain.find('.'); found && !*found && dot != std::string::npos; dot = domain.find('.', dot + 1)) {
            std::string key = domain.substr(bare_parents ? dot + 1 : dot);
            found = co_await maps.lookup_partial(key);
        }
    }
    if (found && !*found) {
        std::string key = cat(local, '@');
        found = co_await maps.lookup_partial(key);
    }
    if (found && !*found && !bare.empty()) {
        std::string key = cat(bare, '@');
        found = co_await maps.lookup_partial(key);
    }
    co_return found;
}

Task<Verdict> Evaluation::apply(std::string result, Subject subject, std::string_view source)
{
    const Settings& settings = case_.server.settings;
    const std::string_view whole = ascii::trim(result);
    const std::string_view word = whole.substr(0, std::min(whole.find_first_of(" \t"), whole.size()));
    std::string_view text = ascii::trim(whole.substr(word.size()));
    const auto refusal = [&](int code, std::string_view usual_dsn, std::string_view usual_text) {
        const std::string_view dsn = take_dsn(text);
        return rejected(code, dsn.empty() ? usual_dsn : std::string_view(fitting_dsn(dsn, subject)), subject,
                        text.empty() ? usual_text : text);
    };

    // Digits alone are OK, as pop-before-smtp tables have them.
    if (all_digits(whole))
        co_return co_await permitted("OK", subject, source);
    // "550 5.7.1 text"
    if (word.size() == 3 && all_digits(word) && (word[0] == '4' || word[0] == '5'))
        co_return refusal((word[0] - '0') * 100 + (word[1] - '0') * 10 + (word[2] - '0'), "5.7.1", "Access denied");

    const auto* named = std::find_if(std::begin(action_names), std::end(action_names),
                                     [&](const ActionName& a) { return ascii::equal(a.name, word); });
    if (named == std::end(action_names))
        co_return co_await apply_restrictions(whole, subject);
    switch (named->action) {
    case Do::Ok:
        co_return co_await permitted(named->name, subject, source);
    case Do::Dunno:
        co_return Verdict();
    case Do::Reject:
        co_return refusal(settings.access_reject_code, "5.7.1", "Access denied");
    case Do::Defer:
        co_return refusal(settings.access_defer_code, "4.7.1", "Access denied");
    case Do::DeferIfPermit:
    case Do::DeferIfReject: {
        Verdict later = refusal(settings.access_defer_code, "4.7.1", "Service unavailable");
        auto& kept = named->action == Do::DeferIfPermit ? defer_if_permit_ : defer_if_reject_;
        if (!warn_only_ && !kept)
            kept = std::move(later);
        co_return Verdict();
    }
    default:
        co_return note_action(static_cast<int>(named->action), text, subject);
    }
}

// A result that names restrictions: a class, or a list of those that need no table. They speak of what the table was
// asked about.
Task<Verdict> Evaluation::apply_restrictions(std::string_view text, Subject subject)
{
    const auto rules = case_.server.restrictions->from_table(text);
    if (!rules) {
        log::warning(rules.error().full_text(), " (in the result of an access table or policy server: ", text, ')');
        co_return configuration_error();
    }
    if (depth_ >= 100) {
        log::warning("access tables and restriction classes are nested too deeply: ", text);
        co_return configuration_error();
    }
    const Subject outer = subject_;
    subject_ = subject;
    ++depth_;
    Verdict verdict = co_await judge_list(**rules);
    --depth_;
    subject_ = outer;
    co_return verdict;
}

// The actions that let the message go on. Hold and discard keep the text for the log alone.
Verdict Evaluation::note_action(int action, std::string_view text, Subject subject)
{
    switch (static_cast<Do>(action)) {
    case Do::Hold:
        log_action("hold", subject, text.empty() ? "triggers HOLD action" : text);
        actions_.hold |= !warn_only_;
        break;
    case Do::Discard:
        log_action("discard", subject, text.empty() ? "triggers DISCARD action" : text);
        actions_.discard |= !warn_only_;
        // What comes later cannot save it, and need not be asked.
        return warn_only_ ? Verdict() : Verdict::permit();
    case Do::Filter:
        if (text.find(':') == std::string_view::npos) {
            log::warning("access table result FILTER without transport:destination: ", text);
            break;
        }
        log_action("filter", subject, cat("triggers FILTER ", text));
        actions_.filter = text;
        break;
    case Do::Redirect:
        if (text.find('@') == std::string_view::npos) {
            log::warning("access table result REDIRECT without user@domain: ", text);
            break;
        }
        log_action("redirect", subject, cat("triggers REDIRECT ", text));
        actions_.redirect = text;
        break;
    case Do::Bcc:
        if (text.find('@') == std::string_view::npos) {
            log::warning("access table result BCC without user@domain: ", text);
            break;
        }
        log_action("bcc", subject, cat("triggers BCC ", text));
        actions_.bcc.emplace_back(text);
        break;
    case Do::Prepend:
        if (subject_ == Subject::EndOfData) {
            log::warning("access table result PREPEND comes too late at ", case_.where, ": ", text);
            break;
        }
        if (!is_header_line(text) || text.find_first_of("\r\n") != std::string_view::npos) {
            log::warning("access table result PREPEND without header: ", text);
            break;
        }
        actions_.prepend.emplace_back(text);
        break;
    case Do::Warn:
        log_text("warn", text);
        break;
    case Do::Info:
        log_text("info", text);
        break;
    default:
        break;
    }
    return Verdict();
}

} // namespace posthouse::smtpd
