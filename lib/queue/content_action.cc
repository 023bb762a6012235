// Actions of content checks: see content_action.h.
#include "lib/queue/content_action.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/mail/mime_field.h"

#include <algorithm>
#include <iterator>

namespace posthouse::queue {

namespace {

using Do = ContentAction::Do;

// What the text after a word must be.
enum class Needs : unsigned char { Nothing, Text, HeaderField, Address, Destination };

struct ActionName {
    std::string_view name;
    Do action;
    std::string_view logged_as;
    Needs needs;
};
constexpr ActionName action_names[] = {
    {"BCC", Do::Bcc, "bcc", Needs::Address},
    {"DISCARD", Do::Discard, "discard", Needs::Nothing},
    {"DUNNO", Do::Nothing, "", Needs::Nothing},
    {"FILTER", Do::Filter, "filter", Needs::Destination},
    {"HOLD", Do::Hold, "hold", Needs::Nothing},
    {"IGNORE", Do::Ignore, "", Needs::Nothing},
    {"INFO", Do::Info, "info", Needs::Nothing},
    {"OK", Do::Nothing, "", Needs::Nothing},
    {"PASS", Do::Pass, "pass", Needs::Nothing},
    {"PREPEND", Do::Prepend, "prepend", Needs::HeaderField},
    {"REDIRECT", Do::Redirect, "redirect", Needs::Address},
    {"REJECT", Do::Reject, "reject", Needs::Nothing},
    {"REPLACE", Do::Replace, "replace", Needs::HeaderField},
    {"STRIP", Do::Strip, "strip", Needs::Nothing},
    {"WARN", Do::Warn, "warning", Needs::Nothing},
};

// What `text` lacks; empty when it is as it should be.
std::string_view missing(Needs needs, std::string_view text, bool for_header)
{
    if (needs == Needs::Nothing)
        return std::string_view();
    if (text.empty())
        return "text is missing";
    const bool one_line = std::none_of(text.begin(), text.end(), [](char c) { return ascii::is_control(c) && c != '\t'; });
    if (!one_line)
        return "need one line";
    if (needs == Needs::HeaderField && for_header && mail::field_name_length(text) == 0)
        return "need \"name: text\"";
    if (needs == Needs::Address && text.find('@') == std::string_view::npos)
        return "need user@domain";
    if (needs == Needs::Destination && text.find(':') == std::string_view::npos)
        return "need transport:destination";
    return std::string_view();
}

} // namespace

Result<ContentAction> ContentAction::parse(std::string_view value, bool for_header)
{
    value = ascii::trim(value);
    const size_t word_end = std::min(value.find_first_of(" \t\r\n"), value.size());
    const std::string_view word = value.substr(0, word_end);
    const std::string_view text = ascii::trim(value.substr(word_end));
    const auto* found = std::find_if(std::begin(action_names), std::end(action_names),
                                     [&](const ActionName& name) { return ascii::equal(name.name, word); });
    if (found == std::end(action_names))
        return Error(ErrorKind::Config, cat("unknown action: ", value.substr(0, 100)));
    const std::string_view fault = missing(found->needs, text, for_header);
    if (!fault.empty())
        return Error(ErrorKind::Config, cat("bad ", found->name, " action \"", text.substr(0, 100), "\": ", fault));
    return ContentAction(found->action, text);
}

std::string_view ContentAction::logged_as() const
{
    const auto* found = std::find_if(std::begin(action_names), std::end(action_names),
                                     [&](const ActionName& name) { return name.action == action; });
    return found->logged_as;
}

} // namespace posthouse::queue
