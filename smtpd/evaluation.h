// Evaluation: judges restriction lists for one command of one session. Made on the stack for a command,
// asked for each list that is due, then for the final word: deferrals that only bite when all else
// permits (defer_if_permit), and refusals that a temporary failure softens (defer_if_reject).
#pragma once

#include "lib/net/resolver.h"
#include "lib/queue/route.h"
#include "lib/trust/dns_list.h"
#include "smtpd/client.h"
#include "smtpd/restrictions.h"
#include "smtpd/verdict.h"

#include <optional>
#include <string>
#include <string_view>

namespace posthouse::tls {
struct SessionInfo;
}

namespace posthouse::smtpd {

class PolicySettings;
struct Server;

// What a verdict speaks of.
enum class Subject : uint8_t { Client, ReverseClient, ClientCertificate, Login, Helo, Sender, Recipient, Data, EndOfData, Etrn };

// An envelope address: as the client gave it, and with our domain added where it had none.
struct Mailbox {
    std::string given;
    std::string completed;
    std::string_view domain() const; // of the completed address; valid while this lives
};

// What is judged. All of it is borrowed, and outlives the Evaluation.
struct Case {
    Server& server;
    const Client& client;
    std::optional<bool>& in_mynetworks; // found out once for a session
    const std::string& helo;            // "" before HELO
    std::string_view protocol;          // "ESMTP"
    std::string_view where;             // "RCPT": the command for the log
    const Mailbox* sender = nullptr;    // null before MAIL
    const Mailbox* recipient = nullptr; // null outside of RCPT
    size_t recipient_count = 0;
    bool pipelined = false;             // input after a command that must be last
    std::string_view login = {};        // "": not logged in
    std::string_view etrn_domain = {};  // of ETRN alone
    const tls::SessionInfo* tls = nullptr; // null: plain text
    bool own_certificate = true;           // false: the one that TLS has shown is that of a host in front (XCLIENT)
    // "NOQUEUE" or a queue id.
    std::string_view queue_id = "NOQUEUE";
    // For policy servers.
    std::string_view login_method = {};
    std::string_view login_sender = {};  // MAIL's AUTH=
    uint64_t size = 0;                   // as MAIL has said, then as it is
    std::string* instance = nullptr;     // names this mail among all; made when first needed. Null: outside of a mail
    std::string_view only_recipient = {}; // after RCPT, when there is one
};

// Variants of the rules that look at the hosts of a domain.
struct ServerRule {
    static constexpr uint8_t A = 0, Mx = 1, Ns = 2;
    static constexpr uint8_t variant(Subject subject, uint8_t kind)
    {
        return static_cast<uint8_t>(static_cast<uint8_t>(subject) | kind << 4);
    }
    static constexpr Subject subject(uint8_t variant) { return static_cast<Subject>(variant & 15); }
    static constexpr uint8_t kind(uint8_t variant) { return static_cast<uint8_t>(variant >> 4); }
};

// Whom the reject_..._sender_login_mismatch restrictions look at: bits of their variants.
struct LoginMismatch {
    static constexpr uint8_t LoggedIn = 1;
    static constexpr uint8_t Stranger = 2;
    static constexpr uint8_t UnknownPass = 4; // addresses without an owner are for anybody who has logged in
};

// "; from=<> to=<> proto=ESMTP helo=<>", as far as it is known: the tail of a reject's log line.
std::string log_context(const Case& asked);

class Evaluation {
public:
    // Deferrals that `actions` has are those of earlier commands, and count here too.
    Evaluation(const Case& asked, Actions& actions)
        : case_(asked), actions_(actions), defer_if_permit_(actions.defer_if_permit), defer_if_reject_(actions.defer_if_reject)
    {
    }
    Evaluation(const Evaluation&) = delete;
    Evaluation& operator=(const Evaluation&) = delete;

    // The list's verdict.
    Task<Verdict> judge(Stage stage);
    // Whether the recipient (or sender) of ours exists; part of RCPT without being in a list.
    Task<Verdict> judge_unlisted(Subject subject);
    // When no list has refused: what defer_if_permit left behind, or Permit.
    Verdict final_word() const;
    // Instead, where a later command has the final word (smtpd_delay_reject = no): leaves them with the actions.
    void keep_deferrals();

    // The rules; see restriction_table.cc.
    Task<Verdict> permit(const Rule&);
    Task<Verdict> reject(const Rule&);
    Task<Verdict> defer(const Rule&);
    Task<Verdict> defer_if_permit(const Rule&);
    Task<Verdict> defer_if_reject(const Rule&);
    Task<Verdict> sleep(const Rule&);
    Task<Verdict> permit_mynetworks(const Rule&);
    Task<Verdict> permit_inet_interfaces(const Rule&);
    Task<Verdict> permit_sasl_authenticated(const Rule&);
    Task<Verdict> permit_tls_clientcerts(const Rule&); // variant 1: those of a known authority
    Task<Verdict> permit_auth_destination(const Rule&);
    Task<Verdict> reject_unauth_destination(const Rule&); // variant 1: defer
    Task<Verdict> reject_unlisted(const Rule&);           // variant: Subject
    Task<Verdict> reject_non_fqdn(const Rule&);           // variant: Subject
    Task<Verdict> reject_unknown_domain(const Rule&);     // variant: Subject
    Task<Verdict> reject_invalid_helo(const Rule&);
    Task<Verdict> reject_unknown_helo(const Rule&);
    Task<Verdict> reject_unknown_client(const Rule&);     // variant: Subject
    Task<Verdict> reject_unauth_pipelining(const Rule&);
    Task<Verdict> reject_multi_recipient_bounce(const Rule&);
    Task<Verdict> reject_plaintext_session(const Rule&);
    Task<Verdict> reject_login_mismatch(const Rule&); // variant: LoginMismatch
    Task<Verdict> reject_unverified(const Rule&);     // variant: Subject
    Task<Verdict> check_access(const Rule&); // variant: Subject
    Task<Verdict> check_server_access(const Rule&); // variant: ServerRule
    Task<Verdict> check_policy(const Rule&);
    Task<Verdict> reject_rbl(const Rule&);
    Task<Verdict> reject_rhsbl(const Rule&);  // variant: Subject
    Task<Verdict> permit_listed(const Rule&); // variant 0: by address, 1: by name
    Task<Verdict> permit_mx_backup(const Rule&);
    Task<Verdict> run_class(const Rule&);
    Task<Verdict> refuse_for_fault(const Rule&);

private:
    enum class Found : uint8_t { No, Yes, Unknown };
    // What a DNS list is asked, and how a refusal calls it.
    struct Listed {
        Listed() = default;
        std::string key;
        std::string what;
    };

    Task<Verdict> judge_list(const RuleList& rules);
    const Mailbox* mailbox(Subject subject) const;
    std::string shown(Subject subject) const;          // "<user@example.com>"
    Verdict rejected(int code, std::string_view dsn, Subject subject, std::string_view why) const;
    Verdict lookup_failure(Subject subject) const;
    static Verdict configuration_error();
    static std::string_view class_name(Subject subject); // "Client host"
    std::string subject_domain(Subject subject) const;   // A-labels, or a literal; "" when there is none
    // Permit, with a line in the log if main.cf asks for it.
    Task<Verdict> permitted(std::string_view action, Subject subject, std::string_view table = std::string_view());
    Verdict put_off(Verdict later, bool at_once);
    void log_action(std::string_view action, Subject subject, std::string_view what) const;
    void log_text(std::string_view action, std::string_view text) const;

    // `source`: the table or server that has said so, for the log.
    Task<Verdict> apply(std::string result, Subject subject, std::string_view source);
    Task<Verdict> apply_restrictions(std::string_view text, Subject subject);
    Verdict note_action(int action, std::string_view text, Subject subject);
    static std::string_view take_dsn(std::string_view& text);
    Task<Verdict> apply_server_result(const Rule& rule, table::Value found, Subject subject);
    Task<std::vector<std::string>> server_names(std::string domain, uint8_t kind, Deadline deadline);
    Verdict unknown_exchanger(std::string_view why);
    Task<Found> find_self(std::vector<net::MxRecord> hosts, Deadline deadline);
    Task<bool> primary_in_networks(std::vector<net::MxRecord> hosts, Deadline deadline);
    Listed list_question(Subject subject) const;
    Task<trust::ListAnswer> ask_dns_list(const Rule& rule, std::string key);
    Task<Verdict> reject_listed(const Rule& rule, Listed question, Subject subject);
    Task<table::Value> rbl_template(const Rule& rule);
    Verdict rbl_verdict(Result<std::string> reply) const;
    bool reply_value(std::string_view name, std::string& value) const;
    std::string policy_request(const PolicySettings& service) const;
    Task<Result<bool>> recipient_is_ours();
    Task<Verdict> unlisted(Subject subject);

    // The keys under which an access table knows a subject, asked in order until one is found.
    Task<table::Value> find_certificate(table::Maps& maps);
    Task<table::Value> find_client(table::Maps& maps, std::string_view name);
    Task<table::Value> find_domain(table::Maps& maps, std::string domain);
    Task<table::Value> find_address_prefixes(table::Maps& maps, net::IpAddress address);
    Task<table::Value> find_address(table::Maps& maps, const Mailbox& mailbox);

    const Case& case_;
    Actions& actions_;
    Subject subject_ = Subject::Client; // of the list that is judged: what a plain `reject` speaks of
    bool warn_only_ = false;
    int depth_ = 0;
    std::optional<Verdict> defer_if_permit_;
    std::optional<Verdict> defer_if_reject_;
    std::optional<queue::Route> route_; // the recipient's
};

} // namespace posthouse::smtpd
