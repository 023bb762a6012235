// Chain: the filters of one SMTP session, in their order. Each event goes to one after the other, until one refuses; each
// is shown the message as those before it have left it.
#pragma once

#include "lib/event/task.h"
#include "lib/milter/filter.h"

#include <deque>
#include <functional>
#include <optional>
#include <string_view>

namespace posthouse::milter {

class Chain {
public:
    // All of them outlive it.
    Chain(Loop& loop, const FilterList& filters, const Settings& settings, const std::function<net::Resolver&()>& resolver);

    Task<Verdict> connect(const ClientFacts& client, const MacroValues& values);
    Task<Verdict> helo(std::string_view name, const MacroValues& values);
    Task<Verdict> mail(const std::vector<std::string>& words, const MacroValues& values);
    Task<Verdict> rcpt(const std::vector<std::string>& words, const MacroValues& values);
    Task<void> refused_rcpt(const std::vector<std::string>& words, const MacroValues& values);
    Task<Verdict> data(const MacroValues& values);
    Task<Verdict> unknown(std::string_view line, const MacroValues& values);
    Task<Verdict> message(Message& message, const MacroValues& values);
    void abort();
    void hang_up(); // the event that is under way ends

    // A refusal that no event can change any more, or null.
    const smtp::Reply* standing_refusal() const;
    bool wants_macro(Stage stage, std::string_view name) const;
    bool shows_refused_recipients() const;

private:
    template <class Event>
    Task<Verdict> each(const Event& event);

    std::deque<Filter> filters_;
};

} // namespace posthouse::milter
