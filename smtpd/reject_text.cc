// The text of refusals, see reject_text.h: asked by Session::send for each reply that refuses.
#include "smtpd/reject_text.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "lib/log/log.h"

#include <algorithm>

namespace posthouse::smtpd {

namespace {

constexpr std::string_view goes_on = "\\c"; // at the begin of a footer: on the line that is there
constexpr std::string_view line_break = "\\n"; // in the template; what values have of it is text

std::string with_line_ends(std::string_view footer)
{
    std::string text(footer);
    for (size_t at = text.find(line_break); at != std::string::npos; at = text.find(line_break, at + 1))
        text.replace(at, line_break.size(), 1, '\n');
    return text;
}

bool is_code(std::string_view word)
{
    return word.size() == 3 && (word[0] == '4' || word[0] == '5') && ascii::is_digit(word[1]) && ascii::is_digit(word[2]);
}

// "5.7.1" for a code that begins with 5 (RFC 2034 section 4).
bool is_dsn(std::string_view word, char reply_class)
{
    return word.size() >= 5 && word[0] == reply_class && word[1] == '.' && ascii::is_digit(word.back())
           && std::count(word.begin(), word.end(), '.') == 2
           && std::all_of(word.begin(), word.end(), [](char c) { return ascii::is_digit(c) || c == '.'; });
}

// The first word, taken off `text`.
std::string_view take_word(std::string_view& text)
{
    const std::string_view word = text.substr(0, std::min(text.find_first_of(" \t"), text.size()));
    text = ascii::trim(text.substr(word.size()));
    return word;
}

} // namespace

std::optional<smtp::Reply> parse_refusal(std::string_view text)
{
    text = ascii::trim(text);
    const std::string_view code = take_word(text);
    if (!is_code(code) || text.empty())
        return std::nullopt;
    std::string_view rest = text;
    const std::string_view dsn = take_word(rest);
    const int number = (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
    if (!is_dsn(dsn, code[0]))
        return smtp::Reply(number, "", text);
    return smtp::Reply(number, dsn, rest);
}

Result<std::unique_ptr<RejectText>> RejectText::open(const config::Config& config, const table::Context& context)
{
    std::unique_ptr<RejectText> made(new RejectText);
    const auto open_maps = [&](std::unique_ptr<table::Maps>& into, const char* parameter) -> Result<void> {
        auto maps = table::Maps::open(parameter, config.text(parameter), context);
        if (!maps)
            return std::move(maps.error());
        into = std::move(*maps);
        return Result<void>();
    };
    RETURN_IF_ERROR(open_maps(made->filter_, "smtpd_reject_filter_maps"));
    RETURN_IF_ERROR(open_maps(made->footers_, "smtpd_reject_footer_maps"));
    made->footer_ = config.text("smtpd_reject_footer");
    if (made->filter_->empty() && made->footers_->empty() && made->footer_.empty())
        return std::unique_ptr<RejectText>();
    made->passes_ = CharacterFilter(config.text("smtpd_expansion_filter"));
    return made;
}

Task<void> RejectText::dress(smtp::Reply& reply, FooterFacts facts)
{
    co_await replace(reply);
    std::string footer = footer_;
    if (!footers_->empty()) {
        auto found = co_await footers_->lookup(reply.to_text());
        if (!found)
            log::warning("smtpd_reject_footer_maps: ", found.error().full_text());
        else if (*found)
            footer = std::move(**found);
    }
    if (!footer.empty())
        append_footer(reply, footer, std::move(facts));
}

Task<void> RejectText::replace(smtp::Reply& reply)
{
    if (filter_->empty())
        co_return;
    auto found = co_await filter_->lookup(reply.to_text());
    if (!found) {
        log::warning("smtpd_reject_filter_maps: ", found.error().full_text());
        co_return;
    }
    if (!*found)
        co_return;
    auto instead = parse_refusal(**found);
    if (instead)
        reply = std::move(*instead);
    else
        log::warning("smtpd_reject_filter_maps: not a refusal: \"", **found, "\"");
}

void RejectText::append_footer(smtp::Reply& reply, std::string_view footer, FooterFacts facts) const
{
    const bool same_line = footer.starts_with(goes_on);
    if (same_line)
        footer.remove_prefix(goes_on.size());
    const auto names = [&facts](std::string_view name, std::string& value) {
        const auto known = std::find_if(facts.values.begin(), facts.values.end(), [&](const auto& f) { return f.first == name; });
        if (known == facts.values.end())
            return false;
        value = known->second;
        return true;
    };
    auto text = expand_reply(with_line_ends(footer), names, passes_);
    if (!text) {
        log::warning("a footer of refusals is left out: ", text.error().full_text());
        return;
    }
    std::string_view rest = *text;
    for (bool first = true; first || !rest.empty(); first = false) {
        const size_t end = std::min(rest.find('\n'), rest.size());
        const std::string_view line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        if (first && same_line)
            reply.text += line;
        else
            reply.add(line);
    }
}

} // namespace posthouse::smtpd
