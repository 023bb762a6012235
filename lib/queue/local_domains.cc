// Which domains are local: see local_domains.h.
#include "lib/queue/local_domains.h"

#include "lib/base/ascii.h"
#include "lib/mail/idn.h"

#include <utility>
#include <vector>

namespace posthouse::queue {

namespace {

// The domain as it is, then with A-labels and with U-labels where that is different.
std::vector<std::string> forms_of(std::string domain)
{
    std::vector<std::string> forms(1, std::move(domain));
    const bool eight_bit = !ascii::all_7bit(forms[0]);
    if (!eight_bit && !forms[0].starts_with("xn--") && forms[0].find(".xn--") == std::string::npos)
        return forms;
    const auto a_labels = mail::domain_to_ascii(forms[0]);
    if (!a_labels)
        return forms;
    for (std::string form : {*a_labels, mail::domain_to_unicode(*a_labels)})
        if (form != forms[0])
            forms.push_back(std::move(form));
    return forms;
}

} // namespace

Task<Result<bool>> lists_domain(table::MatchList& list, std::string domain)
{
    const std::vector<std::string> forms = forms_of(ascii::lower(domain));
    for (const std::string& form : forms) {
        auto listed = co_await list.matches_domain(form);
        if (!listed || *listed)
            co_return listed;
    }
    co_return false;
}

Result<std::unique_ptr<LocalDomains>> LocalDomains::open(const config::Config& config, const table::Context& context)
{
    auto destinations = table::MatchList::open("mydestination", config.text("mydestination"), false, context);
    if (!destinations)
        return std::move(destinations.error());
    std::unique_ptr<LocalDomains> domains(new LocalDomains);
    domains->destinations_ = std::move(*destinations);
    domains->own_addresses_ = OwnAddresses::from_config(config);
    domains->origin_ = config.text("myorigin");
    return domains;
}

Task<Result<bool>> LocalDomains::contains(std::string domain)
{
    if (own_addresses_.contains_literal(domain))
        co_return true;
    co_return co_await lists_domain(*destinations_, std::move(domain));
}

Task<Result<bool>> LocalDomains::is_origin_or_local(std::string domain)
{
    if (ascii::equal(domain, origin_))
        co_return true;
    co_return co_await contains(std::move(domain));
}

table::AddressMaps::LocalTest LocalDomains::user_name_test()
{
    return [this](std::string domain) { return is_origin_or_local(std::move(domain)); };
}

} // namespace posthouse::queue
