// Several filters one after the other, see chain.h.
#include "lib/milter/chain.h"

#include <algorithm>

namespace posthouse::milter {

Chain::Chain(Loop& loop, const FilterList& filters, const Settings& settings,
             const std::function<net::Resolver&()>& resolver)
{
    for (const FilterSettings& filter : filters)
        filters_.emplace_back(loop, filter, settings, resolver);
}

// A message that is held is still for the others to see; one that is refused or discarded is done with.
template <class Event>
Task<Verdict> Chain::each(const Event& event)
{
    Verdict held;
    for (Filter& filter : filters_) {
        Verdict verdict = co_await event(filter);
        if (verdict.kind == Verdict::Kind::Hold)
            held = verdict;
        else if (!verdict.passes())
            co_return verdict;
    }
    co_return held;
}

Task<Verdict> Chain::connect(const ClientFacts& client, const MacroValues& values)
{
    const auto event = [&](Filter& filter) { return filter.connect(client, values); };
    co_return co_await each(event);
}

Task<Verdict> Chain::helo(std::string_view name, const MacroValues& values)
{
    const auto event = [&](Filter& filter) { return filter.helo(name, values); };
    co_return co_await each(event);
}

Task<Verdict> Chain::mail(const std::vector<std::string>& words, const MacroValues& values)
{
    const auto event = [&](Filter& filter) { return filter.mail(words, values); };
    co_return co_await each(event);
}

Task<Verdict> Chain::rcpt(const std::vector<std::string>& words, const MacroValues& values)
{
    const auto event = [&](Filter& filter) { return filter.rcpt(words, values, false); };
    co_return co_await each(event);
}

Task<void> Chain::refused_rcpt(const std::vector<std::string>& words, const MacroValues& values)
{
    for (Filter& filter : filters_)
        (void)co_await filter.rcpt(words, values, true); // refused it is
}

Task<Verdict> Chain::data(const MacroValues& values)
{
    const auto event = [&](Filter& filter) { return filter.data(values); };
    co_return co_await each(event);
}

Task<Verdict> Chain::unknown(std::string_view line, const MacroValues& values)
{
    const auto event = [&](Filter& filter) { return filter.unknown(line, values); };
    co_return co_await each(event);
}

Task<Verdict> Chain::message(Message& message, const MacroValues& values)
{
    const auto event = [&](Filter& filter) { return filter.message(message, values); };
    co_return co_await each(event);
}

void Chain::abort()
{
    for (Filter& filter : filters_)
        filter.abort();
}

void Chain::hang_up()
{
    for (Filter& filter : filters_)
        filter.hang_up();
}

const smtp::Reply* Chain::standing_refusal() const
{
    for (const Filter& filter : filters_)
        if (filter.standing() && filter.standing()->kind == Verdict::Kind::Refuse)
            return &filter.standing()->reply;
    return nullptr;
}

bool Chain::wants_macro(Stage stage, std::string_view name) const
{
    return std::any_of(filters_.begin(), filters_.end(), [&](const Filter& f) { return f.wants_macro(stage, name); });
}

bool Chain::shows_refused_recipients() const
{
    return std::any_of(filters_.begin(), filters_.end(), [](const Filter& f) { return f.shows_refused_recipients(); });
}

} // namespace posthouse::milter
