// How a listed message looks, as a table's lines and as JSON with Postfix's fields: see queue_report.h.
#include "tools/queue_report.h"

#include "lib/base/cat.h"
#include "lib/log/log.h"

#include <cstdio>
#include <ctime>

namespace posthouse::tools {

namespace {

constexpr size_t id_width = 17;
constexpr size_t size_width = 8;
constexpr size_t time_width = 19;
// Reasons end in this column, parentheses not counted.
constexpr size_t reason_width = 76;

std::string pad_right(std::string text, size_t width)
{
    if (text.size() < width)
        text.append(width - text.size(), ' ');
    return text;
}

std::string pad_left(const std::string& text, size_t width)
{
    return text.size() < width ? cat(std::string(width - text.size(), ' '), text) : text;
}

std::string row(const std::string& id, const std::string& size, const std::string& time, const std::string& address)
{
    return cat(pad_right(id, id_width), ' ', pad_left(size, size_width), ' ', pad_right(time, time_width), ' ', address,
               '\n');
}

// "Sun Nov 22 04:00:58", local time, as asctime writes it whatever the locale.
std::string time_text(int64_t arrival_us)
{
    static constexpr const char* days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static constexpr const char* months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const auto seconds = static_cast<time_t>(arrival_us / 1000000);
    struct tm local {};
    localtime_r(&seconds, &local);
    char clock[32];
    std::snprintf(clock, sizeof clock, "%2d %02d:%02d:%02d", local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec);
    return cat(days[local.tm_wday], ' ', months[local.tm_mon], ' ', clock);
}

std::string marked_id(const queue::ListEntry& entry)
{
    std::string id = entry.id;
    if (entry.queue == queue::Active)
        id += '*';
    else if (entry.queue == queue::Hold)
        id += '!';
    if (entry.forced_expire)
        id += '#';
    return id;
}

std::string shown_sender(const queue::ListEntry& entry)
{
    return entry.sender.empty() ? std::string("MAILER-DAEMON") : entry.sender;
}

void append_json(std::string& out, std::string_view text)
{
    out += '"';
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20) {
            char escape[8];
            std::snprintf(escape, sizeof escape, "\\u%04x", byte);
            out += escape;
        } else {
            out += c;
        }
    }
    out += '"';
}

void append_member(std::string& out, std::string_view name, std::string_view text)
{
    append_to(out, '"', name, "\": ");
    append_json(out, text);
}

void append_json_head(std::string& out, const queue::ListEntry& entry)
{
    out += '{';
    append_member(out, "queue_name", queue::queue_name(entry.queue));
    out += ", ";
    append_member(out, "queue_id", entry.id);
    append_to(out, ", \"arrival_time\": ", entry.arrival_us / 1000000, ", \"message_size\": ", entry.size,
              ", \"forced_expire\": ", entry.forced_expire ? "true" : "false", ", ");
    append_member(out, "sender", shown_sender(entry));
    out += ", \"recipients\": [";
}

} // namespace

std::string QueueTable::add(const queue::ListEntry& entry)
{
    std::string out;
    if (!entry.continues) {
        out = messages_ == 0
                  ? row("----Queue ID-----", "--Size--", "---Arrival Time----", "--Sender/Recipient------")
                  : std::string(1, '\n');
        ++messages_;
        bytes_ += entry.size;
        reason_.clear();
        out += row(marked_id(entry), cat(entry.size), time_text(entry.arrival_us), log::sanitise(shown_sender(entry)));
    }
    for (const queue::ListedRecipient& recipient : entry.recipients) {
        if (!recipient.reason.empty() && reason_ != recipient.reason) {
            reason_ = recipient.reason;
            const std::string reason = log::sanitise(recipient.reason);
            append_to(out, pad_left("", reason.size() < reason_width ? reason_width - reason.size() : 0), '(', reason,
                      ")\n");
        }
        out += row("", "", "", log::sanitise(recipient.address));
    }
    return out;
}

std::string QueueTable::end() const
{
    if (messages_ == 0)
        return "Mail queue is empty\n";
    return cat("\n-- ", bytes_ / 1024, " Kbytes in ", messages_, messages_ == 1 ? " Request.\n" : " Requests.\n");
}

std::string queue_json(const queue::ListEntry& entry)
{
    std::string out;
    if (!entry.continues)
        append_json_head(out, entry);
    const char* separator = entry.continues ? ", " : "";
    for (const queue::ListedRecipient& recipient : entry.recipients) {
        append_to(out, separator, '{');
        separator = ", ";
        append_member(out, "address", recipient.address);
        if (!recipient.original.empty() && recipient.original != recipient.address) {
            out += ", ";
            append_member(out, "orig_address", recipient.original);
        }
        if (!recipient.reason.empty()) {
            out += ", ";
            append_member(out, "delay_reason", recipient.reason);
        }
        if (!recipient.bounce_reason.empty()) {
            out += ", ";
            append_member(out, "bounce_reason", recipient.bounce_reason);
        }
        out += '}';
    }
    if (!entry.more)
        out += "]}\n";
    return out;
}

} // namespace posthouse::tools
