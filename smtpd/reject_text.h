// RejectText: what is done to the text of a refusal before the client sees it: smtpd_reject_filter_maps replaces it,
// smtpd_reject_footer_maps and smtpd_reject_footer put a text behind it, in which $names stand for facts of the session.
// The log keeps the refusal as it was. Opened before privileges drop; one for all sessions.
#pragma once

#include "lib/base/result.h"
#include "lib/event/task.h"
#include "lib/smtp/reply.h"
#include "lib/table/maps.h"
#include "smtpd/reply_text.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace posthouse::config {
class Config;
}

namespace posthouse::smtpd {

// The $names of a footer, and what they stand for now.
class FooterFacts {
public:
    FooterFacts() = default;
    void add(std::string_view name, std::string value) { values.emplace_back(name, std::move(value)); }
    std::vector<std::pair<std::string_view, std::string>> values;
};

class RejectText {
public:
    // Null when the parameters ask for nothing.
    static Result<std::unique_ptr<RejectText>> open(const config::Config& config, const table::Context& context);

    // Changes a refusal (4xx or 5xx). What goes wrong is logged, and leaves the reply as it was.
    Task<void> dress(smtp::Reply& reply, FooterFacts facts);
    bool stale() const { return filter_->stale() || footers_->stale(); }

private:
    RejectText() = default;
    Task<void> replace(smtp::Reply& reply);
    void append_footer(smtp::Reply& reply, std::string_view footer, FooterFacts facts) const;

    std::unique_ptr<table::Maps> filter_, footers_;
    std::string footer_;
    CharacterFilter passes_; // smtpd_expansion_filter
};

// "550 5.7.1 text" as a table has it; nothing when it is no refusal.
std::optional<smtp::Reply> parse_refusal(std::string_view text);

} // namespace posthouse::smtpd
