// What a MimeTracker finds in a body, as text: T(text) F(rest of a cut field) L(line) P(field of a part) M(field of a
// message), line ends written as |. For the unit tests and the fuzz target.
#pragma once

#include "lib/base/cat.h"
#include "lib/mail/mime_tracker.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace posthouse::test {

inline std::string marked(std::string_view text)
{
    std::string out;
    for (const char c : text) {
        if (c == '\n')
            out.push_back('|');
        else if (c != '\r')
            out.push_back(c);
    }
    return out;
}

class MimeItems {
public:
    // Texts that follow one another are one: how they are cut is nobody's business.
    void add(const mail::MimeItem& item)
    {
        constexpr char letters[] = {'?', 'T', 'L', 'P', 'M'};
        const char letter = item.of_field ? 'F' : letters[static_cast<int>(item.kind)];
        passed_.append(item.text);
        if (letter == last_ && (letter == 'T' || letter == 'F'))
            text_.pop_back();
        else
            append_to(text_, letter, '(');
        append_to(text_, marked(item.text), item.cut ? "..." : "", ')');
        last_ = letter;
    }
    const std::string& text() const { return text_; }
    const std::string& passed() const { return passed_; }

private:
    std::string text_;
    std::string passed_;
    char last_ = 0;
};

inline MimeItems mime_items(mail::MimeTracker& tracker, std::string_view body, size_t piece)
{
    MimeItems found;
    const auto take_all = [&] {
        for (auto item = tracker.next(); item.kind != mail::MimeItem::Kind::NeedMore; item = tracker.next())
            found.add(item);
    };
    tracker.end_header();
    while (!body.empty()) {
        const std::string copy(body.substr(0, piece));
        tracker.feed(copy);
        take_all();
        body.remove_prefix(copy.size());
    }
    tracker.finish();
    take_all();
    return found;
}

// `type`: the message's Content-Type; what follows a line end in it is its Content-Transfer-Encoding.
inline std::string items_of(std::string_view type, std::string_view body,
                            const mail::MimeLimits& limits = mail::MimeLimits(), size_t piece = std::string::npos,
                            mail::MimeFault* fault = nullptr)
{
    mail::MimeTracker tracker(limits);
    const size_t line_end = std::min(type.find('\n'), type.size());
    tracker.note_field("Content-Type", type.substr(0, line_end));
    if (line_end < type.size())
        tracker.note_field("Content-Transfer-Encoding", type.substr(line_end + 1));
    const MimeItems found = mime_items(tracker, body, piece);
    if (fault)
        *fault = tracker.fault();
    return found.text();
}

} // namespace posthouse::test
