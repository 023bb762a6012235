// Restrictions: smtpd_*_restrictions as lists of rules, parsed once at start against one table of
// restriction names (restriction_table.cc), and judged in order for a command of a session. A word that is none
// stays in its list as a rule that puts everybody off with 451 4.3.5, as Postfix does.
//
// A rule permits, refuses or has no opinion. The first that has one decides its list; the lists of the
// earlier stages (client, helo, sender) are judged at RCPT when smtpd_delay_reject is set. Permit ends
// one list only, so nothing said in smtpd_recipient_restrictions opens a relay.
#pragma once

#include "lib/base/result.h"
#include "lib/event/task.h"
#include "lib/table/maps.h"
#include "lib/trust/dns_list.h"
#include "smtpd/verdict.h"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::config {
class Config;
}
namespace posthouse::net {
class Resolver;
}

namespace posthouse::smtpd {

class Evaluation;
class PolicyClient;
struct Rule;
using RuleList = std::vector<Rule>;

// Where a list stands; decides what a plain `reject` in it speaks of.
enum class Stage : unsigned char { Client, Helo, Sender, Relay, Recipient, Data, EndOfData, Etrn };
constexpr size_t stage_count = 8;

enum class Argument : unsigned char { None, Tables, Text, DnsList, PolicyServer };

// One name that may stand in a restriction list.
struct RestrictionType {
    std::string_view name;
    Argument argument;
    // Null: a name that is understood, of a feature that this version does not have yet.
    Task<Verdict> (Evaluation::*judge)(const Rule&);
    uint8_t variant; // for what several names share
};
// Null for a name that is none.
const RestrictionType* find_restriction(std::string_view name);

struct Rule {
    const RestrictionType* type = nullptr;
    bool warn_only = false;             // warn_if_reject stood before it
    std::unique_ptr<table::Maps> maps;  // Argument::Tables
    std::string text;                   // the argument as it was written; of a faulty word, what is wrong
    std::optional<trust::DnsList> dns_list; // Argument::DnsList
    PolicyClient* policy = nullptr;     // Argument::PolicyServer; owned by the Restrictions
    const RuleList* nested = nullptr;   // a class of smtpd_restriction_classes
};

// All lists of one smtpd, with their tables open. Outlives the Evaluations.
class Restrictions {
public:
    // Fails when the lists would make an open relay. `resolver` is asked for the names of policy servers.
    static Result<std::unique_ptr<Restrictions>> open(const config::Config& config, const table::Context& context,
                                                      std::function<net::Resolver&()> resolver);
    ~Restrictions();
    Restrictions(const Restrictions&) = delete;
    Restrictions& operator=(const Restrictions&) = delete;

    // Unknown names and missing arguments, all of them, with parameter and word.
    const std::vector<Error>& faults() const { return faults_; }
    const RuleList& list(Stage stage) const { return lists_[static_cast<size_t>(stage)]; }
    // Restrictions and classes by name, as an access table's result may give them. An Error for unknown names and for
    // those that need a table, which could not be opened any more. Shared by those who judge it and a cache of such lists.
    Result<std::shared_ptr<const RuleList>> from_table(std::string_view text) const;
    bool stale() const;

private:
    explicit Restrictions(std::function<net::Resolver&()> resolver); // by open() alone
    RuleList parse(const std::string& parameter, std::string_view value, const config::Config& config,
                   const table::Context& context);
    // Reads the rule that begins at words[at], and its argument, on which `at` then stands.
    Result<Rule> parse_rule(const std::string& parameter, const std::vector<std::string>& words, size_t& at) const;
    Result<void> open_argument(const std::string& parameter, Rule& rule, const config::Config& config,
                               const table::Context& context);
    Rule faulty(Error error);
    bool closes_relay(Stage stage) const;
    void open_classes(const config::Config& config, const table::Context& context);

    RuleList lists_[stage_count];
    std::vector<Error> faults_;
    std::map<std::string, RuleList, std::less<>> classes_;
    const std::function<net::Resolver&()> resolver_;
    std::map<std::string, std::unique_ptr<PolicyClient>, std::less<>> policy_clients_; // by what main.cf says of each
    mutable std::map<std::string, std::shared_ptr<const RuleList>, std::less<>> from_tables_;
};

} // namespace posthouse::smtpd
