// Who may send as whom: smtpd_sender_login_maps, and the restrictions that ask it.
#include "smtpd/sender_owners.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "lib/queue/local_domains.h"
#include "smtpd/evaluation.h"
#include "smtpd/sasl_service.h"
#include "smtpd/server.h"

#include <algorithm>

namespace posthouse::smtpd {

SenderOwners::SenderOwners() = default;
SenderOwners::~SenderOwners() = default;

Result<std::unique_ptr<SenderOwners>> SenderOwners::open(const config::Config& config, const table::Context& context)
{
    std::unique_ptr<SenderOwners> made(new SenderOwners);
    auto domains = queue::LocalDomains::open(config, context);
    if (!domains)
        return std::move(domains.error());
    made->local_domains_ = std::move(*domains);
    auto maps = table::AddressMaps::open("smtpd_sender_login_maps", config.text("smtpd_sender_login_maps"), context,
                                         made->local_domains_->user_name_test());
    if (!maps)
        return std::move(maps.error());
    made->maps_ = std::move(*maps);
    return made;
}

Task<Result<std::optional<std::string>>> SenderOwners::find(std::string sender)
{
    auto match = co_await maps_->find(std::move(sender));
    if (!match)
        co_return std::move(match.error());
    std::optional<std::string> owners;
    if (*match)
        owners = std::move((*match)->value);
    co_return owners;
}

bool is_owner(std::string_view owners, std::string_view login)
{
    const auto names = ascii::split(owners, ", \t\r\n");
    return std::any_of(names.begin(), names.end(), [&](std::string_view name) { return ascii::equal(name, login); });
}

// The null sender is nobody's. Where nobody can log in, these rules say nothing (as in Postfix): a configuration for two
// ports may have them in main.cf.
Task<Verdict> Evaluation::reject_login_mismatch(const Rule& rule)
{
    SenderOwners& owners = *case_.server.sender_owners;
    const bool logged_in = !case_.login.empty();
    const uint8_t due = logged_in ? LoginMismatch::LoggedIn : LoginMismatch::Stranger;
    if (owners.empty() || (rule.type->variant & due) == 0 || (!logged_in && !case_.server.sasl))
        co_return Verdict();
    if (!case_.sender || case_.sender->completed.empty())
        co_return Verdict();
    std::string address = case_.sender->completed;
    auto found = co_await owners.find(std::move(address));
    if (!found)
        co_return lookup_failure(Subject::Sender);
    if (!logged_in)
        co_return *found ? rejected(553, "5.7.1", Subject::Sender, "not logged in") : Verdict();
    const bool passes = *found ? is_owner(**found, case_.login) : (rule.type->variant & LoginMismatch::UnknownPass) != 0;
    co_return passes ? Verdict()
                     : rejected(553, "5.7.1", Subject::Sender, cat("not owned by user ", case_.login));
}

} // namespace posthouse::smtpd
