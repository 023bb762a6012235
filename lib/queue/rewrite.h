// Address rewriting at intake: what Postfix's trivial-rewrite and cleanup do to envelope and header
// addresses, in that order: completion (source route, `!` and `%` forms, missing @origin and .domain),
// canonical maps, masquerading. Virtual aliases come afterwards and are in expansion.h.
//
// Addresses are text in RFC 5321 form, with the local part quoted where it must be; the null sender is
// the empty text, which is never rewritten. Owned by a process, made before it gives its privileges up.
#pragma once

#include "lib/base/result.h"
#include "lib/config/config.h"
#include "lib/event/task.h"
#include "lib/net/address.h"
#include "lib/table/table.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace posthouse::queue {

// Local: from this host's users and trusted clients. Remote: from strangers, whose header addresses
// stay as they are unless remote_header_rewrite_domain says how to complete them.
enum class RewriteContext : unsigned char { Local, Remote };
RewriteContext rewrite_context_from(std::string_view name); // "local" or anything else
std::string_view to_text(RewriteContext context);

enum class AddressRole : unsigned char { EnvelopeSender, EnvelopeRecipient, HeaderSender, HeaderRecipient };

// What is done to addresses: all of it; all but copies by *bcc (for the suite's own notifications); or
// completion alone (receive_override_options = no_address_mappings: a content filter's mail comes back,
// and was mapped and copied when it first came in).
enum class AddressMappings : unsigned char { Apply, WithoutBcc, Skip };

// The rules of completion, pure. `origin` is $myorigin (or remote_header_rewrite_domain), `domain` $mydomain.
class CompletionRules {
public:
    CompletionRules() = default;
    static CompletionRules from_config(const config::Config& config);

    std::string origin;
    std::string domain;
    bool append_at_origin = true;
    bool append_dot_domain = false;
    bool swap_bangpath = true;
    bool percent_hack = true;
};
// "a!b" -> b@a, "a%b" -> a@b, "a" -> a@origin, "a@host" -> a@host.domain, "a@b." -> a@b, "@r:a@b" -> a@b.
// An address that cannot be parsed comes back as it is.
std::string complete_address(std::string_view address, const CompletionRules& rules);

class Rewriter {
public:
    static Result<std::unique_ptr<Rewriter>> open(const config::Config& config, const table::Context& context);
    ~Rewriter();
    Rewriter(const Rewriter&) = delete;
    Rewriter& operator=(const Rewriter&) = delete;

    // Completion alone; no table is asked. Envelope addresses are completed in both contexts.
    std::string complete(std::string_view address) const;

    // Completion, canonical maps and masquerading. An Error is a temporary table failure.
    Task<Result<std::string>> rewrite(std::string address, AddressRole role);

    // Whether header addresses of a message from this context are touched at all. When false, intake
    // passes headers through unread.
    bool rewrites_headers(RewriteContext context) const;

    // One header's new body (what follows the colon, folded lines included, without the final CRLF), or
    // nothing when it stays as it is. `name` decides whether it holds sender or recipient addresses.
    Task<Result<std::optional<std::string>>> rewrite_header(std::string name, std::string body,
                                                            RewriteContext context, AddressMappings mappings);

    bool stale() const;

private:
    Rewriter();
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

// True for From, To, Cc and their like: the headers whose addresses are rewritten.
bool is_address_header(std::string_view name);

// local_header_rewrite_clients: whose messages count as local.
class LocalClients {
public:
    static Result<std::unique_ptr<LocalClients>> open(const config::Config& config, const table::Context& context);
    ~LocalClients();
    LocalClients(const LocalClients&) = delete;
    LocalClients& operator=(const LocalClients&) = delete;

    Task<Result<RewriteContext>> context_for(std::string client_name, net::IpAddress client, bool authenticated);
    bool stale() const;

private:
    LocalClients();
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace posthouse::queue
