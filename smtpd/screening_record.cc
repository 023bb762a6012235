// Records of clients that were tested: see screening_record.h.
#include "smtpd/screening_record.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"

#include <algorithm>
#include <limits>

namespace posthouse::smtpd {

std::optional<PassRecord> PassRecord::parse(std::string_view text)
{
    PassRecord record;
    for (size_t at = 0; at < screen_test_count; ++at) {
        const size_t end = text.find(';');
        if ((end == std::string_view::npos) != (at + 1 == screen_test_count))
            return std::nullopt;
        const auto number = ascii::parse_unsigned(text.substr(0, end));
        if (!number || *number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
            return std::nullopt;
        record.until_[at] = static_cast<int64_t>(*number);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return record;
}

std::string PassRecord::to_text() const
{
    std::string text;
    for (const int64_t until : until_)
        append_to(text, text.empty() ? "" : ";", until);
    return text;
}

int64_t PassRecord::end() const { return *std::max_element(std::begin(until_), std::end(until_)); }

} // namespace posthouse::smtpd
