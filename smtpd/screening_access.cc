// postscreen_access_list: see screening_access.h.
#include "smtpd/screening_access.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "lib/log/log.h"

#include <algorithm>
#include <string>

namespace posthouse::smtpd {

namespace {

constexpr const char* parameter = "postscreen_access_list";

// "permit", "reject" or "dunno", in a list or out of a table.
std::optional<ScreeningAccess::Answer> answer_of(std::string_view word)
{
    if (ascii::equal(word, "permit"))
        return ScreeningAccess::Answer::Permit;
    if (ascii::equal(word, "reject"))
        return ScreeningAccess::Answer::Reject;
    if (ascii::equal(word, "dunno"))
        return ScreeningAccess::Answer::Unknown;
    return std::nullopt;
}

} // namespace

Result<std::unique_ptr<ScreeningAccess>> ScreeningAccess::open(std::string_view value, table::MatchList* mynetworks,
                                                               const table::Context& context)
{
    std::unique_ptr<ScreeningAccess> access(new ScreeningAccess(mynetworks));
    for (const std::string& word : config::split_list(value)) {
        Item item;
        if (const auto answer = answer_of(word)) {
            item.answer = *answer;
        } else if (ascii::equal(word, "permit_mynetworks")) {
            item.mynetworks = true;
        } else if (word.find(':') == std::string::npos) {
            return Error(ErrorKind::Config, cat(parameter, ": expected permit, permit_mynetworks, reject or type:table, not \"",
                                                word, '"'));
        } else {
            auto table = table::open(word, context);
            if (!table)
                return std::move(table.error()).within(parameter);
            item.table = std::move(*table);
        }
        access->items_.push_back(std::move(item));
    }
    return access;
}

Task<ScreeningAccess::Answer> ScreeningAccess::look_up(net::IpAddress client)
{
    for (Item& item : items_) {
        const Answer answer = co_await ask(item, client);
        if (answer != Answer::Unknown)
            co_return answer;
    }
    co_return Answer::Unknown;
}

Task<ScreeningAccess::Answer> ScreeningAccess::ask(Item& item, net::IpAddress client)
{
    if (item.mynetworks) {
        const std::string no_name;
        Result<bool> found = co_await mynetworks_->matches_client(no_name, client);
        co_return found && *found ? Answer::Permit : Answer::Unknown;
    }
    if (!item.table)
        co_return item.answer;
    table::Value value = co_await item.table->lookup(client.to_text());
    if (!value) {
        log::warning(parameter, ": ", value.error().full_text(), ": skipping this table");
        co_return Answer::Unknown;
    }
    if (!*value)
        co_return Answer::Unknown;
    const auto answer = answer_of(ascii::trim(**value));
    if (!answer)
        log::warning(parameter, ": ", item.table->name(), ": expected permit, reject or dunno for ", client.to_text(),
                     ", not \"", **value, '"');
    co_return answer.value_or(Answer::Unknown);
}

bool ScreeningAccess::stale() const
{
    return std::any_of(items_.begin(), items_.end(), [](const Item& item) { return item.table && item.table->stale(); });
}

} // namespace posthouse::smtpd
