// Dates: see date.h.
#include "lib/mail/date.h"

#include "lib/base/cat.h"

#include <cstdlib>
#include <ctime>

namespace posthouse::mail {

namespace {

constexpr const char* day_names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr const char* month_names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

void append_padded(std::string& out, long value, int digits)
{
    char text[16];
    for (int i = digits; i-- > 0; value /= 10)
        text[i] = static_cast<char>('0' + value % 10);
    out.append(text, static_cast<size_t>(digits));
}

time_t seconds_of(int64_t wall_us) { return static_cast<time_t>(wall_us / 1000000); }

} // namespace

std::string format_date(int64_t wall_us)
{
    const time_t when = seconds_of(wall_us);
    tm local{};
    localtime_r(&when, &local);
    std::string out = cat(day_names[local.tm_wday], ", ", local.tm_mday, ' ', month_names[local.tm_mon], ' ',
                          local.tm_year + 1900, ' ');
    append_padded(out, local.tm_hour, 2);
    out.push_back(':');
    append_padded(out, local.tm_min, 2);
    out.push_back(':');
    append_padded(out, local.tm_sec, 2);
    const long minutes = local.tm_gmtoff / 60;
    out.append(minutes < 0 ? " -" : " +");
    append_padded(out, std::labs(minutes) / 60, 2);
    append_padded(out, std::labs(minutes) % 60, 2);
    if (local.tm_zone && *local.tm_zone)
        append_to(out, " (", local.tm_zone, ')');
    return out;
}

std::string compact_utc_time(int64_t wall_us)
{
    const time_t when = seconds_of(wall_us);
    tm utc{};
    gmtime_r(&when, &utc);
    std::string out;
    append_padded(out, utc.tm_year + 1900, 4);
    for (int part : {utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec})
        append_padded(out, part, 2);
    return out;
}

} // namespace posthouse::mail
