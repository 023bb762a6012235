// The small words of the state table: see queue.h.
#include "lib/queue/queue.h"

#include "lib/base/cat.h"

namespace posthouse::queue {

bool is_valid(RecipientState state)
{
    switch (state) {
    case RecipientState::Pending:
    case RecipientState::Delivered:
    case RecipientState::Bounced:
    case RecipientState::Failed:
    case RecipientState::Deleted:
    case RecipientState::Duplicate:
    case RecipientState::DeliveredUntold:
    case RecipientState::RelayedUntold:
    case RecipientState::ExpandedUntold:
        return true;
    }
    return false;
}

bool is_settled(RecipientState state)
{
    return is_valid(state) && state != RecipientState::Pending && state != RecipientState::Failed && !is_untold(state);
}

bool is_untold(RecipientState state)
{
    return state == RecipientState::DeliveredUntold || state == RecipientState::RelayedUntold ||
           state == RecipientState::ExpandedUntold;
}

std::string_view to_text(RecipientState state)
{
    switch (state) {
    case RecipientState::Pending:
        return "pending";
    case RecipientState::Delivered:
        return "delivered";
    case RecipientState::Bounced:
        return "bounced";
    case RecipientState::Failed:
        return "failed";
    case RecipientState::Deleted:
        return "deleted";
    case RecipientState::Duplicate:
        return "duplicate";
    case RecipientState::DeliveredUntold:
        return "delivered, to be told";
    case RecipientState::RelayedUntold:
        return "relayed, to be told";
    case RecipientState::ExpandedUntold:
        return "expanded, to be told";
    }
    return "damaged";
}

std::string slot_path(uint64_t number)
{
    constexpr std::string_view digits = "0123456789abcdef";
    return cat(mail_directory, '/', digits[number >> 4 & 15], digits[number & 15], '/', number);
}

} // namespace posthouse::queue
