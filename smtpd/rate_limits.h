// Limits on how much a sender may send, as main.cf writes them ("messages:100/1h recipients:500/1d"), and the record of
// what it has sent. Pure: text and bytes in, values out.
//
// A record counts in slots of a twelfth of each window (whole seconds), and adds up the window and the slot that it
// began in. So no window of that length, wherever it begins, ever holds more than the limit; what is forgotten is
// forgotten up to a slot late. The record of a window is 72 bytes, whatever the numbers.
#pragma once

#include "lib/base/result.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::smtpd {

class RateLimit {
public:
    enum class What : uint8_t { Messages, Recipients };

    RateLimit(What its_what, uint32_t its_count, uint32_t its_seconds, std::string its_window)
        : what(its_what), count(its_count), seconds(its_seconds), window(std::move(its_window))
    {
    }
    // "100 messages in 1h"
    std::string to_text() const;

    What what;
    uint32_t count;
    uint32_t seconds;
    std::string window; // as it was written: "1h"
};

constexpr size_t most_rate_limits = 8;

// Items between commas and blanks; "" and "none" are no limits.
Result<std::vector<RateLimit>> parse_rate_limits(std::string_view text);

class RateRecord {
public:
    // From the bytes that bytes() gave; what they do not make sense of is nothing sent. `now`: seconds since 1970.
    RateRecord(std::string_view bytes, int64_t now);

    uint64_t sent(const RateLimit& limit) const;
    void add(const RateLimit& limit, uint32_t amount);

    std::string bytes() const;
    // When nothing of it counts any more.
    int64_t forgotten_at() const;

private:
    static constexpr size_t slots = 13;
    struct Window {
        uint32_t what = 0;
        uint32_t seconds = 0;
        int64_t slot = 0; // number of the newest, since 1970
        uint32_t counts[slots] = {}; // newest first
        uint32_t reserved = 0;

        int64_t slot_seconds() const { return (int64_t(seconds) + 11) / 12; }
        void advance(int64_t now);
    };
    size_t index_of(const RateLimit& limit) const; // windows_.size(): none

    int64_t now_;
    std::vector<Window> windows_;
};

} // namespace posthouse::smtpd
