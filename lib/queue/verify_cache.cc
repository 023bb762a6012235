// The cache of verified addresses: see verify_cache.h. A value is "STATUS UPDATED PROBED DSN TEXT", TEXT to the end.
#include "lib/queue/verify_cache.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"

#include <algorithm>

namespace posthouse::queue {

namespace {

constexpr size_t longest_text = 500;

// The local part may be case sensitive, the domain is not.
std::string key_of(std::string_view address)
{
    const size_t at = address.rfind('@');
    if (at == std::string_view::npos)
        return std::string(address);
    return cat(address.substr(0, at), ascii::lower(address.substr(at)));
}

// Takes the word before the next blank off `bytes`.
std::string_view take_word(std::string_view& bytes)
{
    const size_t blank = std::min(bytes.find(' '), bytes.size());
    const std::string_view word = bytes.substr(0, blank);
    bytes.remove_prefix(std::min(blank + 1, bytes.size()));
    return word;
}

bool read_time(std::string_view& bytes, int64_t& into)
{
    const auto number = ascii::parse_unsigned(take_word(bytes));
    into = static_cast<int64_t>(std::min<uint64_t>(number.value_or(0), INT64_MAX));
    return number.has_value();
}

} // namespace

std::string encode(const VerifiedAddress& address)
{
    return cat(static_cast<int>(address.status), ' ', address.updated_s, ' ', address.probed_s, ' ', address.dsn, ' ',
               std::string_view(address.text).substr(0, longest_text));
}

std::optional<VerifiedAddress> decode_verified_address(std::string_view bytes)
{
    VerifiedAddress address;
    const auto status = ascii::parse_unsigned(take_word(bytes));
    if (!status || *status < static_cast<unsigned>(DeliveryStatus::Delivered) ||
        *status > static_cast<unsigned>(DeliveryStatus::Failed))
        return std::nullopt;
    address.status = static_cast<DeliveryStatus>(*status);
    if (!read_time(bytes, address.updated_s) || !read_time(bytes, address.probed_s))
        return std::nullopt;
    address.dsn = take_word(bytes);
    address.text = bytes;
    return address;
}

VerifyCache::VerifyCache(std::unique_ptr<table::Cache> table, const config::Config& config)
    : table_(std::move(table)),
      positive_expire_s_(config.duration("address_verify_positive_expire_time").whole_seconds()),
      positive_refresh_s_(config.duration("address_verify_positive_refresh_time").whole_seconds()),
      negative_expire_s_(config.duration("address_verify_negative_expire_time").whole_seconds()),
      negative_refresh_s_(config.duration("address_verify_negative_refresh_time").whole_seconds()),
      retry_s_(config.duration("minimal_backoff_time").whole_seconds()),
      keeps_failures_(config.boolean("address_verify_negative_cache"))
{
}

Result<std::unique_ptr<VerifyCache>> VerifyCache::open(const config::Config& config)
{
    std::string name = config.text("address_verify_map");
    if (name.empty())
        name = cat(config.text("data_directory"), "/verify_cache");
    auto table = table::Cache::open(name);
    if (!table)
        return std::move(table.error()).within("address_verify_map");
    return std::unique_ptr<VerifyCache>(new VerifyCache(std::move(*table), config));
}

std::optional<VerifiedAddress> VerifyCache::find(std::string_view address, int64_t now_s)
{
    const auto entry = table_->get(key_of(address), now_s);
    return entry ? decode_verified_address(entry->value) : std::nullopt;
}

bool VerifyCache::refresh_due(const VerifiedAddress& known, int64_t now_s) const
{
    const bool good = known.status == DeliveryStatus::Delivered;
    const bool temporary = known.status == DeliveryStatus::Deferred;
    const int64_t refresh_s = good        ? positive_refresh_s_
                              : temporary ? std::min(negative_refresh_s_, retry_s_)
                                          : negative_refresh_s_;
    return known.updated_s + refresh_s <= now_s && known.probed_s + std::min(refresh_s, retry_s_) <= now_s;
}

void VerifyCache::note(std::string_view address, VerifiedAddress found, int64_t now_s)
{
    const std::string key = key_of(address);
    const bool good = found.status == DeliveryStatus::Delivered;
    if (!good && !keeps_failures_)
        return;
    found.updated_s = found.probed_s = now_s;
    (void)table_->update(key, now_s, [&](std::optional<table::CacheEntry>& entry) { // what is not kept is probed again
        auto known = entry ? decode_verified_address(entry->value) : std::nullopt;
        if (known && known->status == DeliveryStatus::Delivered && !good) {
            known->probed_s = now_s;
            entry->value = encode(*known);
            return;
        }
        entry = table::CacheEntry(encode(found), now_s + (good ? positive_expire_s_ : negative_expire_s_));
    });
}

} // namespace posthouse::queue
