// VerifyCache: what probes have found out about addresses, in a file that all programs of the instance share
// (address_verify_map). qmgr writes, smtpd reads. Losing it costs probes, never mail.
//
// A success holds for address_verify_positive_expire_time, and is asked for anew after the refresh time; when that fails,
// the success holds on until it expires. A failure holds for address_verify_negative_expire_time and is asked for anew
// after its refresh time; one that may be over soon (the next host is down) after the time of a first retry.
#pragma once

#include "lib/base/result.h"
#include "lib/config/config.h"
#include "lib/queue/delivery_protocol.h"
#include "lib/table/cache.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace posthouse::queue {

class VerifiedAddress {
public:
    VerifiedAddress() = default;
    VerifiedAddress(DeliveryStatus its_status, std::string its_dsn, std::string its_text)
        : status(its_status), dsn(std::move(its_dsn)), text(std::move(its_text))
    {
    }
    bool operator==(const VerifiedAddress&) const = default;

    DeliveryStatus status = DeliveryStatus::Deferred; // of the probe
    std::string dsn;
    std::string text;
    int64_t updated_s = 0; // seconds since 1970: when that was found out
    int64_t probed_s = 0;  // when it was last tried to
};

std::string encode(const VerifiedAddress& address);
std::optional<VerifiedAddress> decode_verified_address(std::string_view bytes); // nothing when it is none

class VerifyCache {
public:
    // Before privileges drop; afterwards it works by its descriptor.
    static Result<std::unique_ptr<VerifyCache>> open(const config::Config& config);

    // `now_s`: seconds since 1970. Synchronous, microseconds.
    std::optional<VerifiedAddress> find(std::string_view address, int64_t now_s);
    // It is time to probe again, though what is known still holds.
    bool refresh_due(const VerifiedAddress& known, int64_t now_s) const;
    void note(std::string_view address, VerifiedAddress found, int64_t now_s);

    bool stale() const { return table_->stale(); }

private:
    VerifyCache(std::unique_ptr<table::Cache> table, const config::Config& config);

    std::unique_ptr<table::Cache> table_;
    int64_t positive_expire_s_;
    int64_t positive_refresh_s_;
    int64_t negative_expire_s_;
    int64_t negative_refresh_s_;
    int64_t retry_s_;
    bool keeps_failures_;
};

} // namespace posthouse::queue
