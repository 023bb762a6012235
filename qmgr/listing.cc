// Scheduler, fifth part: the listing. A message with many recipients comes in pieces, too, so that neither
// a frame nor a turn of the loop grows with them.
#include "qmgr/listing.h"

#include "lib/base/ascii.h"
#include "qmgr/scheduler.h"

#include <algorithm>
#include <utility>

namespace posthouse::qmgr {

namespace {

constexpr size_t most_listed_at_a_time = 200; // messages

template <class Recipients>
bool any_in_site(const Recipients& recipients, const std::string& site)
{
    return std::any_of(recipients.begin(), recipients.end(),
                       [&site](const auto& one) { return in_site(one.address, site); });
}

bool selects(const queue::ControlList& filter, uint8_t its_queue, const std::string& id)
{
    return (filter.queues & its_queue) != 0 && (filter.id.empty() || filter.id == id);
}

queue::ListEntry entry_of(WaitingPiece piece, uint8_t its_queue)
{
    WaitingMessage& record = piece.message;
    queue::ListEntry entry;
    entry.id = std::move(record.id);
    entry.queue = its_queue;
    entry.arrival_us = record.arrival_us;
    entry.size = record.size;
    entry.forced_expire = record.forced_expire;
    entry.sender = std::move(record.sender);
    entry.next_us = its_queue == queue::Deferred ? record.next_us : 0;
    entry.continues = piece.continues;
    entry.more = piece.more;
    for (WaitingRecipient& recipient : record.recipients) {
        queue::ListedRecipient listed;
        listed.address = std::move(recipient.address);
        listed.original = std::move(recipient.original);
        listed.reason = std::move(recipient.reason);
        entry.recipients.push_back(std::move(listed));
    }
    return entry;
}

size_t bytes_of(const queue::ListEntry& entry)
{
    size_t bytes = entry.id.size() + entry.sender.size();
    for (const queue::ListedRecipient& recipient : entry.recipients)
        bytes += recipient.bytes();
    return bytes;
}

} // namespace

bool in_site(const std::string& address, const std::string& site)
{
    const auto at = address.rfind('@');
    return at != std::string::npos && ascii::equal(std::string_view(address).substr(at + 1), site);
}

uint8_t queue_of(const WaitingMessage& record)
{
    return record.held ? queue::Hold : record.incoming ? queue::Incoming : queue::Deferred;
}

bool Scheduler::list_some(const queue::ControlList& filter, ListPosition& at,
                          std::vector<queue::ListEntry>& entries) const
{
    if (!std::exchange(at.begun, true))
        for (const auto& [number, message] : active_)
            if (!message->indexed)
                at.active.push_back(number);
    const size_t before = entries.size();
    size_t bytes = 0;
    for (size_t count = 0; bytes < queue::list_piece_bytes && count < most_listed_at_a_time; ++count) {
        const size_t listed = entries.size();
        if (!list_active(filter, at, entries) && !list_waiting(filter, at, entries))
            return entries.size() > before;
        if (entries.size() > listed)
            bytes += bytes_of(entries.back());
    }
    return true;
}

// The next piece of the active set; false when there is none left.
bool Scheduler::list_active(const queue::ControlList& filter, ListPosition& at,
                            std::vector<queue::ListEntry>& entries) const
{
    if (at.next_active == at.active.size())
        return false;
    const auto found = active_.find(at.active[at.next_active]);
    const Message* const message = found == active_.end() ? nullptr : found->second.get();
    const bool continues = !at.open_id.empty();
    if (message == nullptr || (continues && message->id() != at.open_id)) { // it has gone meanwhile
        if (continues) {
            entries.emplace_back().id = std::exchange(at.open_id, std::string());
            entries.back().queue = queue::Active;
            entries.back().continues = true;
        }
        ++at.next_active;
        at.next_recipient = 0;
        return true;
    }
    const bool wanted = continues || (selects(filter, queue::Active, message->id()) &&
                                      (filter.site.empty() || any_in_site(message->recipients, filter.site)));
    if (wanted) {
        queue::ListEntry entry = piece_of(*message, at.next_recipient);
        entry.continues = continues;
        at.open_id = entry.more ? entry.id : std::string();
        entries.push_back(std::move(entry));
    }
    if (at.open_id.empty()) {
        ++at.next_active;
        at.next_recipient = 0;
    }
    return true;
}

// From `next` on, which is moved behind the last recipient looked at.
queue::ListEntry Scheduler::piece_of(const Message& message, uint32_t& next) const
{
    queue::ListEntry entry;
    entry.id = message.id();
    entry.queue = queue::Active;
    entry.arrival_us = message.envelope.arrival_us;
    entry.size = message.content.size;
    entry.forced_expire = message.orders.expire;
    entry.sender = message.envelope.sender;
    size_t bytes = 0;
    for (; next < message.recipients.size(); ++next) {
        if (!message.pending(next) || (message.recipients[next].notify & mail::NotifyExpanded))
            continue;
        if (bytes >= queue::list_piece_bytes) {
            entry.more = true;
            break;
        }
        queue::ListedRecipient listed;
        listed.address = message.recipients[next].address;
        listed.original = message.recipients[next].original;
        bytes += listed.bytes();
        entry.recipients.push_back(std::move(listed));
    }
    return entry;
}

bool Scheduler::list_waiting(const queue::ControlList& filter, ListPosition& at,
                             std::vector<queue::ListEntry>& entries) const
{
    WaitingPiece piece;
    if (!index_.next_piece(at.index, queue::list_piece_bytes, piece))
        return false;
    const uint64_t number = piece.message.number;
    const bool is_active = active_.contains(number) || loading_.contains(number);
    const uint8_t its_queue = is_active ? uint8_t{queue::Active} : queue_of(piece.message);
    if (!piece.continues) {
        at.skipping = !selects(filter, its_queue, piece.message.id);
        if (!at.skipping && !filter.site.empty()) {
            const auto whole = index_.get(number);
            at.skipping = !whole || !any_in_site(whole->recipients, filter.site);
        }
        at.index.within = at.index.within && !at.skipping;
    }
    if (!at.skipping)
        entries.push_back(qmgr::entry_of(std::move(piece), its_queue));
    return true;
}

} // namespace posthouse::qmgr
