// Cutting lists of addresses: see list_items.h.
#include "lib/table/list_items.h"

#include "lib/base/ascii.h"

#include <algorithm>

namespace posthouse::table {

namespace {

class Cutter {
public:
    explicit Cutter(std::string_view list) : list_(list) {}
    std::vector<std::string_view> run();

private:
    void end_item(size_t end);
    size_t after_group(size_t at) const;
    bool name_comes_to_an_angle(size_t at);
    bool cuts(size_t at, size_t next);

    std::string_view list_;
    std::vector<std::string_view> items_;
    size_t begin_ = 0;
    bool had_angle_ = false;
    size_t mark_ = 0; // the first comma or < at or behind the place last asked for
    bool mark_known_ = false;
};

// Behind the quoted string, comment, bracket or escaped character at `at`; `at` + 1 for all else.
size_t Cutter::after_group(size_t at) const
{
    const char open = list_[at];
    if (open == '\\')
        return std::min(at + 2, list_.size());
    if (open != '"' && open != '(' && open != '<')
        return at + 1;
    const char close = open == '(' ? ')' : open == '<' ? '>' : '"';
    size_t depth = 1;
    bool quoted = false;
    for (++at; at < list_.size(); ++at) {
        const char c = list_[at];
        if (c == '\\')
            ++at;
        else if (open == '<' && c == '"')
            quoted = !quoted;
        else if (c == close && !quoted && --depth == 0)
            return at + 1;
        else if (open == '(' && c == '(')
            ++depth;
    }
    return list_.size();
}

void Cutter::end_item(size_t end)
{
    const std::string_view item = ascii::trim(list_.substr(begin_, end - begin_));
    if (!item.empty())
        items_.push_back(item);
    had_angle_ = false;
}

bool Cutter::name_comes_to_an_angle(size_t at)
{
    if (!mark_known_ || mark_ < at) {
        for (mark_ = at; mark_ < list_.size() && list_[mark_] != ',' && list_[mark_] != '<';)
            mark_ = after_group(mark_);
        mark_known_ = true;
    }
    return mark_ < list_.size() && list_[mark_] == '<';
}

// Does the white space between `at` and `next` part two items?
bool Cutter::cuts(size_t at, size_t next)
{
    const std::string_view item = ascii::trim(list_.substr(begin_, at - begin_));
    if (item.empty() || next == list_.size() || list_[next] == ',')
        return false;
    if (had_angle_)
        return true;
    if (item.back() == '@' || list_[next] == '@' || ascii::equal(item, ":include:"))
        return false;
    return !name_comes_to_an_angle(next);
}

std::vector<std::string_view> Cutter::run()
{
    for (size_t at = 0; at < list_.size();) {
        const char c = list_[at];
        if (c == ',') {
            end_item(at);
            begin_ = ++at;
        } else if (ascii::is_space(c)) {
            const size_t next = std::min(list_.find_first_not_of(" \t\r\n\v\f", at), list_.size());
            if (cuts(at, next)) {
                end_item(at);
                begin_ = next;
            }
            at = next;
        } else if (c == '|' && ascii::trim(list_.substr(begin_, at - begin_)).empty()) {
            while (at < list_.size() && list_[at] != ',')
                at = list_[at] == '"' || list_[at] == '\\' ? after_group(at) : at + 1;
        } else {
            had_angle_ = had_angle_ || c == '<';
            at = after_group(at);
        }
    }
    end_item(list_.size());
    return std::move(items_);
}

} // namespace

bool breaks_apart(std::string_view address)
{
    bool quoted = false;
    for (size_t at = 0; at < address.size(); ++at) {
        const char c = address[at];
        if (ascii::is_control(c) || (!quoted && (c == ' ' || c == '<' || c == '>')))
            return true;
        if (c == '\\' && at + 1 < address.size() && !ascii::is_control(address[at + 1]))
            ++at;
        else if (c == '"')
            quoted = !quoted;
    }
    return quoted;
}

std::vector<std::string_view> split_list_items(std::string_view list)
{
    return Cutter(list).run();
}

} // namespace posthouse::table
