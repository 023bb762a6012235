// Limits on senders: see rate_limits.h.
#include "smtpd/rate_limits.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/config/value.h"

#include <algorithm>
#include <cstring>
#include <optional>

namespace posthouse::smtpd {

namespace {

constexpr int64_t longest_window = 31 * 86400;
constexpr int64_t highest_count = 1'000'000'000;
constexpr size_t most_windows = 16; // of one record; those of limits that are gone stay until they are over

constexpr std::string_view names[] = {"messages", "recipients"};

std::optional<RateLimit> parse_item(std::string_view item)
{
    const size_t colon = item.find(':');
    const size_t slash = item.find('/');
    if (colon == std::string_view::npos || slash == std::string_view::npos || slash < colon)
        return std::nullopt;
    const auto* name = std::find_if(std::begin(names), std::end(names),
                                    [&](std::string_view known) { return ascii::equal(known, item.substr(0, colon)); });
    const std::string_view window = item.substr(slash + 1);
    const auto count = config::parse_number(item.substr(colon + 1, slash - colon - 1));
    const auto time = config::parse_time(window);
    if (name == std::end(names) || !count || !time || *count < 0 || *count > highest_count || time->whole_seconds() < 1
        || time->whole_seconds() > longest_window)
        return std::nullopt;
    return RateLimit(static_cast<RateLimit::What>(name - names), static_cast<uint32_t>(*count),
                     static_cast<uint32_t>(time->whole_seconds()), std::string(window));
}

} // namespace

std::string RateLimit::to_text() const
{
    return cat(count, ' ', names[static_cast<size_t>(what)], " in ", window);
}

Result<std::vector<RateLimit>> parse_rate_limits(std::string_view text)
{
    std::vector<RateLimit> limits;
    const auto items = ascii::split(text, ", \t\r\n");
    if (items.size() == 1 && ascii::equal(items.front(), "none"))
        return limits;
    for (const std::string_view item : items) {
        auto limit = parse_item(item);
        if (!limit)
            return Error(ErrorKind::Config, cat("expected limits such as messages:100/1h or recipients:1000/1d (up to 31d), or "
                                                "none, not \"", item, '"'));
        limits.push_back(std::move(*limit));
    }
    if (limits.size() > most_rate_limits)
        return Error(ErrorKind::Config, cat("more than ", most_rate_limits, " limits"));
    return limits;
}

void RateRecord::Window::advance(int64_t now)
{
    const int64_t current = now / slot_seconds();
    if (current <= slot) // the clock was set back: all that was sent counts as sent now
        return;
    const auto steps = static_cast<size_t>(std::min<int64_t>(current - slot, slots));
    std::copy_backward(counts, counts + (slots - steps), counts + slots);
    std::fill(counts, counts + steps, 0);
    slot = current;
}

RateRecord::RateRecord(std::string_view bytes, int64_t now) : now_(now)
{
    static_assert(sizeof(Window) == 72);
    for (; bytes.size() >= sizeof(Window) && windows_.size() < most_windows; bytes.remove_prefix(sizeof(Window))) {
        Window window;
        std::memcpy(&window, bytes.data(), sizeof window);
        if (window.seconds < 1 || window.seconds > longest_window)
            continue;
        if (window.slot > now / window.slot_seconds() + int64_t(slots))
            continue; // from a future that was none
        window.advance(now);
        if (std::any_of(std::begin(window.counts), std::end(window.counts), [](uint32_t count) { return count > 0; }))
            windows_.push_back(window);
    }
}

size_t RateRecord::index_of(const RateLimit& limit) const
{
    const auto found = std::find_if(windows_.begin(), windows_.end(), [&](const Window& window) {
        return window.what == static_cast<uint32_t>(limit.what) && window.seconds == limit.seconds;
    });
    return static_cast<size_t>(found - windows_.begin());
}

uint64_t RateRecord::sent(const RateLimit& limit) const
{
    const size_t index = index_of(limit);
    uint64_t total = 0;
    if (index == windows_.size())
        return 0;
    const Window& window = windows_[index];
    const int64_t covering = (window.seconds + window.slot_seconds() - 1) / window.slot_seconds() + 1;
    for (size_t slot = 0; slot < std::min<size_t>(slots, static_cast<size_t>(covering)); ++slot)
        total += window.counts[slot];
    return total;
}

void RateRecord::add(const RateLimit& limit, uint32_t amount)
{
    size_t index = index_of(limit);
    if (index == windows_.size()) {
        if (windows_.size() >= most_windows)
            windows_.erase(windows_.begin());
        Window& fresh = windows_.emplace_back();
        fresh.what = static_cast<uint32_t>(limit.what);
        fresh.seconds = limit.seconds;
        fresh.slot = now_ / fresh.slot_seconds();
        index = windows_.size() - 1;
    }
    uint32_t& newest = windows_[index].counts[0];
    newest += std::min(amount, UINT32_MAX - newest);
}

std::string RateRecord::bytes() const
{
    return std::string(reinterpret_cast<const char*>(windows_.data()), windows_.size() * sizeof(Window));
}

int64_t RateRecord::forgotten_at() const
{
    int64_t at = now_;
    for (const Window& window : windows_)
        at = std::max(at, (window.slot + static_cast<int64_t>(slots)) * window.slot_seconds());
    return at;
}

} // namespace posthouse::smtpd
