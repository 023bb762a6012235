// Session: one SMTP dialogue, from greeting to disconnect, as one coroutine (serve). Commands are rows of
// a table; each handler checks, acts and gives the Reply that the loop sends. An Error from a handler
// means that the connection is of no use any more.
//
// State of a mail lives in Transaction alone and every way out of one drops it. A session that waits
// for a command holds no buffer and no transaction.
#pragma once

#include "lib/base/result.h"
#include "lib/base/secret.h"
#include "lib/base/time.h"
#include "lib/event/byte_stream.h"
#include "lib/event/task.h"
#include "lib/milter/protocol.h"
#include "lib/sasl/auth_protocol.h"
#include "lib/smtp/chat.h"
#include "lib/smtp/command.h"
#include "lib/smtp/reply.h"
#include "smtpd/client.h"
#include "smtpd/client_counters.h"
#include "smtpd/reject_text.h"
#include "smtpd/transaction.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace posthouse::milter {
struct Verdict;
}
namespace posthouse::table {
class MatchList;
}

namespace posthouse::tls {
struct SessionInfo;
class TlsStream;
}

namespace posthouse::smtpd {

class ScreenedClient;
struct Server;
struct SessionMilters;
struct TlsSettings;

// What XFORWARD said about the client of a host before us; for log and envelope only.
struct Forwarded {
    // False for a value that cannot be.
    bool take(const smtp::Attribute& attribute);

    std::string name, address, port, protocol, helo, ident;
};

// Who has logged in; "" where nobody has.
struct Login {
    std::string user;
    std::string method; // "PLAIN"; "XCLIENT" when a host before us says so
};

class Session {
public:
    // Server and stream outlive the session.
    Session(Server& server, ByteStream& stream, Client client);
    ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // Before serve(): of a client that screening has not done with.
    void watch_client(std::unique_ptr<ScreenedClient> client);

    // Greets, converses, logs. Returns when the connection is over.
    Task<void> serve();

    // The server stops: a session that waits for a command hears 421 at once. To be called from the loop.
    void stop();
    // So does one that takes a message from its client just now.
    void stop_receiving();

private:
    enum Flag : uint8_t {
        MustBeLast = 1, // RFC 2920 section 3.1: the client has to wait for the reply
        Junk = 2,       // does nothing for mail: counts towards smtpd_junk_command_limit
        EndsSession = 4,
        BeforeTls = 8,  // also where TLS is required
        NotRefused = 16, // of no use to a client that milters have refused
        SmtpOnly = 32,
        LmtpOnly = 64,
    };
    using Answer = Task<Result<smtp::Reply>>;
    struct Command {
        std::string_view name;
        Answer (Session::*handle)(const smtp::CommandLine& line);
        uint8_t flags;
    };
    static constexpr size_t command_count = 18;
    static const Command commands[command_count];
    struct Count {
        uint32_t good = 0;
        uint32_t all = 0;
    };
    // What XCLIENT puts in place of this session's own.
    struct Identity {
        explicit Identity(const Session& session)
            : client(session.client_), helo(), protocol(), login(session.login_)
        {
        }
        bool take(const smtp::Attribute& attribute); // false for a value that cannot be
        bool take_server_address(std::string_view value);
        void forget_old_name();

        Client client;
        std::string helo;
        std::string_view protocol;
        Login login;
        bool got_name = false;
        bool got_reverse_name = false;
        bool got_address = false;
    };

    // session.cc: the dialogue.
    Task<Result<void>> converse();
    Task<Result<void>> send(const smtp::Reply& reply);
    Task<Result<void>> write(const smtp::Reply& reply);
    Task<std::optional<smtp::Reply>> count_visit();
    Task<std::optional<smtp::Reply>> greeting();
    void log_foreign_command(std::string_view line) const;
    std::string_view shown(std::string_view line) const;
    Task<std::optional<smtp::Reply>> welcome();
    Answer execute(const Command& command, const smtp::CommandLine& line);
    std::optional<smtp::Reply> refuse_early(const Command& command, const smtp::CommandLine& line);
    const Command& find_command(std::string_view verb) const;
    bool improperly_pipelined(const Command& command, const smtp::CommandLine& line) const;
    Task<bool> is_foreign(const smtp::CommandLine& line, table::MatchList& forbidden);
    bool knows(const Command& command) const;
    bool extended() const { return protocol_ == "ESMTP" || protocol_ == "LMTP"; }
    void count(const Command& command, const smtp::Reply& reply);
    Task<bool> limits_apply();
    Task<bool> legacy_line_ends();

    // session_screening.cc
    Task<std::optional<smtp::Reply>> screen(const Command& command, const smtp::CommandLine& line);
    std::optional<smtp::Reply> exceeds_screening_limits(const smtp::CommandLine& line);
    Duration command_time() const;
    void pass_screening();
    void end_screening(const Result<void>& ended);

    // command_filter.cc
    Task<std::optional<smtp::Reply>> filter_command(smtp::CommandLine& line);

    // session_end.cc
    FooterFacts footer_facts() const;
    Task<Result<void>> say_goodbye(const Error& error);
    void log_end(const Result<void>& ended) const;
    std::string command_summary() const;

    // cmd_hello.cc
    Answer cmd_helo(const smtp::CommandLine& line);
    Answer cmd_ehlo(const smtp::CommandLine& line);
    Answer cmd_lhlo(const smtp::CommandLine& line);
    Answer hello(std::string_view name, std::string_view protocol);
    void add_limits(smtp::Reply& reply) const;
    Task<uint32_t> discarded_keywords();
    Task<Result<smtp::Reply>> ehlo_reply();

    // cmd_starttls.cc
    Answer cmd_starttls(const smtp::CommandLine& line);
    bool offers_tls() const;
    bool must_start_tls() const;
    const tls::SessionInfo* tls_info() const; // null: plain text
    Task<std::optional<smtp::Reply>> refuse_handshake();
    Task<Result<void>> start_tls();
    Task<Result<void>> shake_hands(Deadline deadline);
    void log_tls(const TlsSettings& settings) const;
    std::optional<smtp::Reply> check_client_certificate();
    Task<void> end_tls();

    // cmd_auth.cc
    struct AuthResponse {
        AuthResponse() = default;
        Secret text;                         // base64, if it is
        std::optional<smtp::Reply> refusal;  // instead
    };
    Answer cmd_auth(const smtp::CommandLine& line);
    Task<bool> offers_auth();
    Task<void> add_auth_lines(smtp::Reply& reply);
    sasl::AuthRequest auth_request(std::string_view mechanism);
    Answer authenticate(sasl::AuthRequest request);
    Task<Result<AuthResponse>> read_response(const std::string& mechanism);
    Answer auth_failed(std::string mechanism, std::string user, std::string reason);
    smtp::Reply auth_unavailable(const std::string& mechanism, const Error& error);

    // cmd_mail.cc, cmd_rcpt.cc
    Answer cmd_mail(const smtp::CommandLine& line);
    void begin_mail(smtp::MailCommand command);
    void log_bad_address(const smtp::Reply& refusal, const smtp::CommandLine& line) const;
    Answer cmd_rcpt(const smtp::CommandLine& line);
    Task<std::optional<smtp::Reply>> count_recipient();
    enum class CheckFor : uint8_t { Rcpt, Vrfy };
    Task<std::optional<smtp::Reply>> check_recipient(const Mailbox& recipient, CheckFor what);
    Task<Verdict> judge_recipient(Evaluation& evaluation);
    Task<std::optional<smtp::Reply>> limit_sending(const Mailbox& recipient); // sending_limits.cc
    std::optional<smtp::Reply> check_characters(std::string_view address, bool smtputf8) const;

    // cmd_data.cc, cmd_bdat.cc, message.cc
    Answer cmd_data(const smtp::CommandLine& line);
    Answer cmd_bdat(const smtp::CommandLine& line);
    std::optional<smtp::Reply> check_data_order() const;
    Task<std::optional<smtp::Reply>> start_message();
    void fill_envelope();
    queue::ContentOrigin content_origin() const;
    void apply_actions();
    void log_client() const;
    std::string trace_headers(int64_t arrival_us) const;
    Task<void> take_content(std::string_view piece);
    void fail_content(smtp::Reply reply);
    Answer end_message();
    Task<smtp::Reply> finish_message();
    Task<Result<void>> skip_chunk(uint64_t size);
    bool refuse_bare_newline();
    smtp::Reply bare_newline_reply() const;
    smtp::Reply failure_reply(const Error& error) const;
    smtp::Reply intake_failure_reply(const Error& error);
    smtp::Reply answer_failure(const smtp::Reply& why);
    Deadline data_deadline(Instant started) const;

    // proxied_mail.cc
    Task<std::optional<smtp::Reply>> offer_to_filter(const mail::Recipient& recipient);
    Task<std::optional<smtp::Reply>> start_proxied();
    Task<void> take_proxied(std::string_view piece);
    Task<smtp::Reply> finish_proxied();
    void warn_of_lost_actions() const;
    void log_filter_reply(const smtp::Reply& reply, const mail::Recipient& recipient);

    // cmd_simple.cc
    Answer cmd_rset(const smtp::CommandLine& line);
    Answer cmd_noop(const smtp::CommandLine& line);
    Answer cmd_quit(const smtp::CommandLine& line);
    Answer cmd_vrfy(const smtp::CommandLine& line);
    Answer cmd_help(const smtp::CommandLine& line);
    Answer cmd_unknown(const smtp::CommandLine& line);

    // cmd_etrn.cc
    Answer cmd_etrn(const smtp::CommandLine& line);
    Task<std::optional<smtp::Reply>> judge_etrn(const std::string& site);

    // cmd_xclient.cc
    Answer cmd_xclient(const smtp::CommandLine& line);
    Answer cmd_xforward(const smtp::CommandLine& line);
    Task<bool> listed(table::MatchList& hosts); // this connection's real client

    // session_milters.cc: what milters hear, and what they say to it
    class MilterMacros;
    Task<std::optional<smtp::Reply>> milters_connect();
    Task<std::optional<smtp::Reply>> milters_helo();
    Task<std::optional<smtp::Reply>> milters_mail(std::string_view argument);
    Task<std::optional<smtp::Reply>> milters_rcpt(std::string_view argument, const Mailbox& recipient);
    Task<void> milters_refused_rcpt(std::string_view argument, const Mailbox& recipient, const smtp::Reply& reply);
    Task<std::optional<smtp::Reply>> milters_data();
    Task<std::optional<smtp::Reply>> milters_unknown(std::string_view line);
    Task<std::optional<smtp::Reply>> milters_message(smtp::ContentFacts& facts);
    std::optional<smtp::Reply> milters_standing_refusal() const;
    std::unique_ptr<queue::NewMessage> hold_for_milters(std::unique_ptr<queue::NewMessage> message);
    void milters_abort();
    Task<void> find_route(MilterMacros& macros, std::string address, milter::Stage stage);
    std::optional<smtp::Reply> heed_milters(const milter::Verdict& verdict, std::string_view where,
                                            const Mailbox* recipient = nullptr);

    // restrictions, for all commands
    Case make_case(std::string_view where, const Mailbox* recipient = nullptr);
    void add_mail_facts(Case& asked);
    Task<std::optional<smtp::Reply>> judge_stage(Stage stage, std::string_view where);
    smtp::Reply refuse(const Verdict& verdict, std::string_view where, const Mailbox* recipient = nullptr);
    void reset_mail();

    Server& server_;
    smtp::Chat chat_;
    Client client_;      // XCLIENT replaces it
    Client real_client_; // whom rights for XCLIENT and XFORWARD are given to
    ClientCounters::Visit visit_;
    std::string helo_;
    std::string_view protocol_; // "", "SMTP", "ESMTP", "LMTP"
    std::string_view where_ = "CONNECT"; // the last command, for the log
    Login login_;
    std::unique_ptr<tls::TlsStream> tls_; // over the stream that the session began with
    std::unique_ptr<Transaction> mail_;
    std::unique_ptr<SessionMilters> milters_; // null: none, for this client
    std::unique_ptr<Forwarded> forwarded_;
    std::unique_ptr<ScreenedClient> screened_; // null: as most, it is not looked at further
    std::unique_ptr<Actions> standing_actions_; // of client and HELO checks that were not delayed
    std::optional<bool> in_mynetworks_;
    std::optional<bool> legacy_line_ends_;
    std::optional<bool> limits_apply_;
    std::optional<uint32_t> discarded_; // EHLO keywords
    uint64_t content_bytes_ = 0;        // of the message being read, for the log
    uint32_t refused_replies_ = 1;      // that BDAT LAST brings when an earlier chunk was refused
    int errors_ = 0;
    int junk_ = 0;
    bool access_denied_ = false; // by a client restriction at connect: only QUIT works
    bool chunks_refused_ = false; // a BDAT has failed: the ones that follow are read and refused
    bool pipelined_ = false;     // input came before the reply that had to be waited for
    bool waiting_ = false;       // for a command
    bool forgive_ = false;       // this refusal is no error of the client
    bool closing_ = false;
    bool auth_was_last_ = false; // what comes now may be a password
    bool for_another_ = false;  // XCLIENT: TLS is that of a host in front
    bool starting_tls_ = false; // once the reply is sent
    bool mute_ = false;         // the connection is of no use for a last word
    Count counts_[command_count];
};

} // namespace posthouse::smtpd
