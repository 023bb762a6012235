// The table of restriction names, and the parser of restriction lists.
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "smtpd/evaluation.h"
#include "smtpd/policy_client.h"
#include "smtpd/restrictions.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace posthouse::smtpd {

namespace {

constexpr size_t most_from_tables = 1000; // lists of restrictions out of access tables that are kept

constexpr uint8_t client = static_cast<uint8_t>(Subject::Client);
constexpr uint8_t reverse_client = static_cast<uint8_t>(Subject::ReverseClient);
constexpr uint8_t helo = static_cast<uint8_t>(Subject::Helo);
constexpr uint8_t sender = static_cast<uint8_t>(Subject::Sender);
constexpr uint8_t certificate = static_cast<uint8_t>(Subject::ClientCertificate);
constexpr uint8_t login = static_cast<uint8_t>(Subject::Login);
constexpr uint8_t recipient = static_cast<uint8_t>(Subject::Recipient);
constexpr uint8_t etrn = static_cast<uint8_t>(Subject::Etrn);
constexpr uint8_t client_a = ServerRule::variant(Subject::Client, ServerRule::A);
constexpr uint8_t client_mx = ServerRule::variant(Subject::Client, ServerRule::Mx);
constexpr uint8_t client_ns = ServerRule::variant(Subject::Client, ServerRule::Ns);
constexpr uint8_t reverse_client_a = ServerRule::variant(Subject::ReverseClient, ServerRule::A);
constexpr uint8_t reverse_client_mx = ServerRule::variant(Subject::ReverseClient, ServerRule::Mx);
constexpr uint8_t reverse_client_ns = ServerRule::variant(Subject::ReverseClient, ServerRule::Ns);
constexpr uint8_t helo_a = ServerRule::variant(Subject::Helo, ServerRule::A);
constexpr uint8_t helo_mx = ServerRule::variant(Subject::Helo, ServerRule::Mx);
constexpr uint8_t helo_ns = ServerRule::variant(Subject::Helo, ServerRule::Ns);
constexpr uint8_t sender_a = ServerRule::variant(Subject::Sender, ServerRule::A);
constexpr uint8_t sender_mx = ServerRule::variant(Subject::Sender, ServerRule::Mx);
constexpr uint8_t sender_ns = ServerRule::variant(Subject::Sender, ServerRule::Ns);
constexpr uint8_t recipient_a = ServerRule::variant(Subject::Recipient, ServerRule::A);
constexpr uint8_t recipient_mx = ServerRule::variant(Subject::Recipient, ServerRule::Mx);
constexpr uint8_t recipient_ns = ServerRule::variant(Subject::Recipient, ServerRule::Ns);

// Sorted by name. A row without a function is a restriction of a feature that is still to come.
constexpr RestrictionType types[] = {
    {"check_client_access", Argument::Tables, &Evaluation::check_access, client},
    {"check_client_a_access", Argument::Tables, &Evaluation::check_server_access, client_a},
    {"check_client_mx_access", Argument::Tables, &Evaluation::check_server_access, client_mx},
    {"check_client_ns_access", Argument::Tables, &Evaluation::check_server_access, client_ns},
    {"check_ccert_access", Argument::Tables, &Evaluation::check_access, certificate},
    {"check_etrn_access", Argument::Tables, &Evaluation::check_access, etrn},
    {"check_helo_a_access", Argument::Tables, &Evaluation::check_server_access, helo_a},
    {"check_helo_access", Argument::Tables, &Evaluation::check_access, helo},
    {"check_helo_mx_access", Argument::Tables, &Evaluation::check_server_access, helo_mx},
    {"check_helo_ns_access", Argument::Tables, &Evaluation::check_server_access, helo_ns},
    {"check_policy_service", Argument::PolicyServer, &Evaluation::check_policy, 0},
    {"check_recipient_a_access", Argument::Tables, &Evaluation::check_server_access, recipient_a},
    {"check_recipient_access", Argument::Tables, &Evaluation::check_access, recipient},
    {"check_recipient_mx_access", Argument::Tables, &Evaluation::check_server_access, recipient_mx},
    {"check_recipient_ns_access", Argument::Tables, &Evaluation::check_server_access, recipient_ns},
    {"check_reverse_client_hostname_a_access", Argument::Tables, &Evaluation::check_server_access, reverse_client_a},
    {"check_reverse_client_hostname_mx_access", Argument::Tables, &Evaluation::check_server_access, reverse_client_mx},
    {"check_reverse_client_hostname_ns_access", Argument::Tables, &Evaluation::check_server_access, reverse_client_ns},
    {"check_reverse_client_hostname_access", Argument::Tables, &Evaluation::check_access, reverse_client},
    {"check_sasl_access", Argument::Tables, &Evaluation::check_access, login},
    {"check_sender_a_access", Argument::Tables, &Evaluation::check_server_access, sender_a},
    {"check_sender_access", Argument::Tables, &Evaluation::check_access, sender},
    {"check_sender_mx_access", Argument::Tables, &Evaluation::check_server_access, sender_mx},
    {"check_sender_ns_access", Argument::Tables, &Evaluation::check_server_access, sender_ns},
    {"defer", Argument::None, &Evaluation::defer, 0},
    {"defer_if_permit", Argument::None, &Evaluation::defer_if_permit, 0},
    {"defer_if_reject", Argument::None, &Evaluation::defer_if_reject, 0},
    {"defer_unauth_destination", Argument::None, &Evaluation::reject_unauth_destination, 1},
    {"permit", Argument::None, &Evaluation::permit, 0},
    {"permit_auth_destination", Argument::None, &Evaluation::permit_auth_destination, 0},
    {"permit_dnswl_client", Argument::DnsList, &Evaluation::permit_listed, 0},
    {"permit_inet_interfaces", Argument::None, &Evaluation::permit_inet_interfaces, 0},
    {"permit_mx_backup", Argument::None, &Evaluation::permit_mx_backup, 0},
    {"permit_mynetworks", Argument::None, &Evaluation::permit_mynetworks, 0},
    {"permit_rhswl_client", Argument::DnsList, &Evaluation::permit_listed, 1},
    {"permit_sasl_authenticated", Argument::None, &Evaluation::permit_sasl_authenticated, 0},
    {"permit_tls_all_clientcerts", Argument::None, &Evaluation::permit_tls_clientcerts, 1},
    {"permit_tls_clientcerts", Argument::None, &Evaluation::permit_tls_clientcerts, 0},
    {"reject", Argument::None, &Evaluation::reject, 0},
    {"reject_authenticated_sender_login_mismatch", Argument::None, &Evaluation::reject_login_mismatch,
     LoginMismatch::LoggedIn},
    {"reject_invalid_helo_hostname", Argument::None, &Evaluation::reject_invalid_helo, 0},
    {"reject_invalid_hostname", Argument::None, &Evaluation::reject_invalid_helo, 0},
    {"reject_known_sender_login_mismatch", Argument::None, &Evaluation::reject_login_mismatch,
     LoginMismatch::LoggedIn | LoginMismatch::Stranger | LoginMismatch::UnknownPass},
    {"reject_multi_recipient_bounce", Argument::None, &Evaluation::reject_multi_recipient_bounce, 0},
    {"reject_non_fqdn_helo_hostname", Argument::None, &Evaluation::reject_non_fqdn, helo},
    {"reject_non_fqdn_hostname", Argument::None, &Evaluation::reject_non_fqdn, helo},
    {"reject_non_fqdn_recipient", Argument::None, &Evaluation::reject_non_fqdn, recipient},
    {"reject_non_fqdn_sender", Argument::None, &Evaluation::reject_non_fqdn, sender},
    {"reject_plaintext_session", Argument::None, &Evaluation::reject_plaintext_session, 0},
    {"reject_rbl_client", Argument::DnsList, &Evaluation::reject_rbl, 0},
    {"reject_rhsbl_client", Argument::DnsList, &Evaluation::reject_rhsbl, client},
    {"reject_rhsbl_helo", Argument::DnsList, &Evaluation::reject_rhsbl, helo},
    {"reject_rhsbl_recipient", Argument::DnsList, &Evaluation::reject_rhsbl, recipient},
    {"reject_rhsbl_reverse_client", Argument::DnsList, &Evaluation::reject_rhsbl, reverse_client},
    {"reject_rhsbl_sender", Argument::DnsList, &Evaluation::reject_rhsbl, sender},
    {"reject_sender_login_mismatch", Argument::None, &Evaluation::reject_login_mismatch,
     LoginMismatch::LoggedIn | LoginMismatch::Stranger},
    {"reject_unauth_destination", Argument::None, &Evaluation::reject_unauth_destination, 0},
    {"reject_unauth_pipelining", Argument::None, &Evaluation::reject_unauth_pipelining, 0},
    {"reject_unauthenticated_sender_login_mismatch", Argument::None, &Evaluation::reject_login_mismatch,
     LoginMismatch::Stranger},
    {"reject_unknown_client", Argument::None, &Evaluation::reject_unknown_client, client},
    {"reject_unknown_client_hostname", Argument::None, &Evaluation::reject_unknown_client, client},
    {"reject_unknown_forward_client_hostname", Argument::None, &Evaluation::reject_unknown_client, client},
    {"reject_unknown_helo_hostname", Argument::None, &Evaluation::reject_unknown_helo, 0},
    {"reject_unknown_hostname", Argument::None, &Evaluation::reject_unknown_helo, 0},
    {"reject_unknown_recipient_domain", Argument::None, &Evaluation::reject_unknown_domain, recipient},
    {"reject_unknown_reverse_client_hostname", Argument::None, &Evaluation::reject_unknown_client, reverse_client},
    {"reject_unknown_sender_domain", Argument::None, &Evaluation::reject_unknown_domain, sender},
    {"reject_unlisted_recipient", Argument::None, &Evaluation::reject_unlisted, recipient},
    {"reject_unlisted_sender", Argument::None, &Evaluation::reject_unlisted, sender},
    {"reject_unverified_recipient", Argument::None, &Evaluation::reject_unverified, recipient},
    {"reject_unverified_sender", Argument::None, &Evaluation::reject_unverified, sender},
    {"sleep", Argument::Text, &Evaluation::sleep, 0},
};
// What a rule for a class of smtpd_restriction_classes has as its type.
constexpr RestrictionType class_type = {"restriction class", Argument::None, &Evaluation::run_class, 0};
constexpr RestrictionType faulty_type = {"faulty restriction", Argument::None, &Evaluation::refuse_for_fault, 0};

// The parameter of each Stage.
constexpr std::string_view stage_parameters[stage_count] = {
    "smtpd_client_restrictions", "smtpd_helo_restrictions",      "smtpd_sender_restrictions",
    "smtpd_relay_restrictions",  "smtpd_recipient_restrictions", "smtpd_data_restrictions",
    "smtpd_end_of_data_restrictions", "smtpd_etrn_restrictions",
};

Error config_error(const std::string& parameter, std::string_view what)
{
    return Error(ErrorKind::Config, cat(parameter, ": ", what));
}

} // namespace

const RestrictionType* find_restriction(std::string_view name)
{
    const auto* found = std::find_if(std::begin(types), std::end(types),
                                     [&](const RestrictionType& type) { return ascii::equal(type.name, name); });
    return found == std::end(types) ? nullptr : found;
}

Restrictions::Restrictions(std::function<net::Resolver&()> resolver) : resolver_(std::move(resolver)) {}
Restrictions::~Restrictions() = default;

Result<std::unique_ptr<Restrictions>> Restrictions::open(const config::Config& config, const table::Context& context,
                                                         std::function<net::Resolver&()> resolver)
{
    std::unique_ptr<Restrictions> made(new Restrictions(std::move(resolver)));
    made->open_classes(config, context);
    for (size_t stage = 0; stage < stage_count; ++stage) {
        const std::string parameter(stage_parameters[stage]);
        made->lists_[stage] = made->parse(parameter, config.text(parameter), config, context);
    }
    if (!made->closes_relay(Stage::Relay) && !made->closes_relay(Stage::Recipient))
        return config_error("smtpd_relay_restrictions",
                            "here or in smtpd_recipient_restrictions there must be one of reject_unauth_destination, "
                            "defer_unauth_destination, reject, defer, defer_if_permit");
    return made;
}

// Whether a list has a rule that keeps strangers from relaying.
bool Restrictions::closes_relay(Stage stage) const
{
    const RuleList& rules = list(stage);
    return std::any_of(rules.begin(), rules.end(), [](const Rule& rule) {
        const auto judge = rule.type->judge;
        return !rule.warn_only
               && (judge == &Evaluation::reject_unauth_destination || judge == &Evaluation::reject
                   || judge == &Evaluation::defer || judge == &Evaluation::defer_if_permit
                   || judge == &Evaluation::refuse_for_fault);
    });
}

// Names first: a class may use another that comes later in the list.
void Restrictions::open_classes(const config::Config& config, const table::Context& context)
{
    const auto names = config.list("smtpd_restriction_classes");
    for (const std::string& name : names)
        classes_.emplace(name, RuleList());
    for (const std::string& name : names) {
        if (const auto value = config.any(name))
            classes_[name] = parse(name, *value, config, context);
        else
            classes_[name].push_back(faulty(config_error("smtpd_restriction_classes", cat("no parameter named ", name))));
    }
}

Rule Restrictions::faulty(Error error)
{
    Rule rule;
    rule.type = &faulty_type;
    rule.text = error.full_text();
    faults_.push_back(std::move(error));
    return rule;
}

RuleList Restrictions::parse(const std::string& parameter, std::string_view value, const config::Config& config,
                             const table::Context& context)
{
    RuleList rules;
    bool warn_only = false;
    const std::vector<std::string> words = config::split_list(value);
    for (size_t at = 0; at < words.size(); ++at) {
        if (ascii::equal(words[at], "warn_if_reject")) {
            warn_only = true;
            continue;
        }
        auto rule = parse_rule(parameter, words, at);
        if (rule)
            if (auto opened = open_argument(parameter, *rule, config, context); !opened)
                rule = std::move(opened.error());
        if (rule)
            rule->warn_only = warn_only;
        warn_only = false;
        rules.push_back(rule ? std::move(*rule) : faulty(std::move(rule.error())));
    }
    if (warn_only)
        rules.push_back(faulty(config_error(parameter, "warn_if_reject needs a restriction after it")));
    return rules;
}

// The rule, with its argument as text; tables and policy servers are still to be found.
Result<Rule> Restrictions::parse_rule(const std::string& parameter, const std::vector<std::string>& words, size_t& at) const
{
    const std::string& word = words[at];
    Rule rule;
    if (const auto named = classes_.find(word); named != classes_.end()) {
        rule.type = &class_type;
        rule.nested = &named->second;
        return rule;
    }
    // A bare table is an access check of the list's own subject in old configurations; say what to write.
    rule.type = find_restriction(word);
    if (!rule.type)
        return config_error(parameter, word.find(':') != std::string::npos
                                           ? cat("write check_..._access before the table ", word)
                                           : cat("unknown restriction: ", word));
    // Its argument, too, is passed over when the feature is still to come.
    if (rule.type->argument != Argument::None && ++at == words.size())
        return config_error(parameter, cat(word, " needs an argument"));
    if (!rule.type->judge)
        return config_error(parameter, cat(word, " comes with a later version"));
    if (rule.type->argument != Argument::None)
        rule.text = words[at];
    if (rule.type->argument == Argument::DnsList) {
        auto list = trust::DnsList::parse(rule.text);
        if (!list)
            return std::move(list.error()).within(parameter);
        rule.dns_list = std::move(*list);
    }
    return rule;
}

Result<void> Restrictions::open_argument(const std::string& parameter, Rule& rule, const config::Config& config,
                                         const table::Context& context)
{
    if (rule.type->argument == Argument::Tables) {
        auto maps = table::Maps::open(parameter, rule.text, context);
        if (!maps)
            return std::move(maps.error());
        rule.maps = std::move(*maps);
    }
    if (rule.type->argument == Argument::PolicyServer) {
        std::unique_ptr<PolicyClient>& client = policy_clients_[rule.text];
        if (!client) {
            auto settings = PolicySettings::parse(rule.text, config);
            if (!settings)
                return std::move(settings.error()).within(parameter);
            client = std::make_unique<PolicyClient>(*context.loop, std::move(*settings), resolver_);
        }
        rule.policy = client.get();
    }
    return Result<void>();
}

Result<std::shared_ptr<const RuleList>> Restrictions::from_table(std::string_view text) const
{
    if (const auto known = from_tables_.find(text); known != from_tables_.end())
        return known->second;
    const std::string where = "restrictions from a table";
    auto rules = std::make_shared<RuleList>();
    bool warn_only = false;
    const std::vector<std::string> words = config::split_list(text);
    for (size_t at = 0; at < words.size(); ++at) {
        if (ascii::equal(words[at], "warn_if_reject")) {
            warn_only = true;
            continue;
        }
        auto rule = parse_rule(where, words, at);
        if (!rule)
            return std::move(rule.error());
        if (rule->type->argument == Argument::Tables)
            return config_error(where, cat(rule->type->name, " needs a table: name a restriction class that has it"));
        if (rule->type->argument == Argument::PolicyServer) {
            const auto client = policy_clients_.find(rule->text);
            if (client == policy_clients_.end())
                return config_error(where, cat(rule->text, " stands in no restriction of main.cf: name a class that has it"));
            rule->policy = client->second.get();
        }
        rule->warn_only = std::exchange(warn_only, false);
        rules->push_back(std::move(*rule));
    }
    if (from_tables_.size() >= most_from_tables) // a server may make up a new one for each request
        from_tables_.clear();
    from_tables_.emplace(text, rules);
    return std::shared_ptr<const RuleList>(std::move(rules));
}

bool Restrictions::stale() const
{
    const auto stale_list = [](const RuleList& rules) {
        return std::any_of(rules.begin(), rules.end(), [](const Rule& r) { return r.maps && r.maps->stale(); });
    };
    return std::any_of(std::begin(lists_), std::end(lists_), stale_list)
           || std::any_of(classes_.begin(), classes_.end(), [&](const auto& c) { return stale_list(c.second); });
}

} // namespace posthouse::smtpd
