// SenderOwners: smtpd_sender_login_maps, the logins that own a sender address. One for each process.
#pragma once

#include "lib/base/result.h"
#include "lib/event/task.h"
#include "lib/table/maps.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace posthouse::config {
class Config;
}
namespace posthouse::queue {
class LocalDomains;
}

namespace posthouse::smtpd {

class SenderOwners {
public:
    static Result<std::unique_ptr<SenderOwners>> open(const config::Config& config, const table::Context& context);
    ~SenderOwners();
    SenderOwners(const SenderOwners&) = delete;
    SenderOwners& operator=(const SenderOwners&) = delete;

    bool empty() const { return maps_->empty(); }
    // The list of logins; nothing for an address that nobody owns. Asked for user+ext@domain, user@domain, user where the
    // domain is local, @domain.
    Task<Result<std::optional<std::string>>> find(std::string sender);
    bool stale() const { return maps_->stale(); }

private:
    SenderOwners();
    std::unique_ptr<queue::LocalDomains> local_domains_;
    std::unique_ptr<table::AddressMaps> maps_;
};

// Whether a list of logins, separated by commas or blanks, has this one. Letters may be of either case.
bool is_owner(std::string_view owners, std::string_view login);

} // namespace posthouse::smtpd
