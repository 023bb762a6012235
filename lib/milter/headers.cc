// Header fields and what milters do to them, see headers.h.
#include "lib/milter/headers.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"

#include <algorithm>

namespace posthouse::milter {

HeaderField HeaderField::make(std::string_view name, std::string_view value, bool leading_space)
{
    std::string text = cat(name, ':', leading_space ? "" : " ");
    bool at_line_start = false;
    for (size_t at = 0; at < value.size(); ++at) {
        char c = value[at];
        const bool line_end = c == '\n' || (c == '\r' && at + 1 < value.size() && value[at + 1] == '\n');
        if (line_end) {
            if (c == '\r')
                ++at;
            if (!at_line_start) // an empty line would end the header
                text.append("\r\n");
            at_line_start = true;
            continue;
        }
        if (c == '\r' || c == '\0')
            c = ' ';
        if (at_line_start && !ascii::is_blank(c))
            text.push_back('\t');
        at_line_start = false;
        text.push_back(c);
    }
    if (!at_line_start)
        text.append("\r\n");
    return HeaderField(std::move(text), name.size());
}

std::string HeaderField::value(bool leading_space) const
{
    std::string_view body(text);
    body.remove_prefix(std::min(body.size(), body.find(':', name_length) + 1));
    if (!leading_space && body.starts_with(' '))
        body.remove_prefix(1);
    while (!body.empty() && (body.back() == '\n' || body.back() == '\r'))
        body.remove_suffix(1);
    std::string value;
    value.reserve(body.size());
    for (size_t at = 0; at < body.size(); ++at)
        if (body[at] != '\r' || at + 1 == body.size() || body[at + 1] != '\n')
            value.push_back(body[at]);
    return value;
}

bool is_field_name(std::string_view name)
{
    constexpr size_t longest = 998; // RFC 5322 section 2.1.1
    return !name.empty() && name.size() <= longest
           && std::all_of(name.begin(), name.end(), [](char c) { return c > ' ' && c < 0x7f && c != ':'; });
}

void HeaderFields::append(HeaderField field)
{
    size_ += field.text.size();
    fields_.push_back(std::move(field));
}

void HeaderFields::add(HeaderField field)
{
    changed_ = true;
    append(std::move(field));
}

void HeaderFields::insert(uint32_t index, HeaderField field)
{
    changed_ = true;
    size_ += field.text.size();
    const size_t at = std::min<size_t>(index, fields_.size());
    fields_.insert(fields_.begin() + static_cast<ptrdiff_t>(at), std::move(field));
}

// An index of 0 is taken for 1, as Sendmail does.
size_t HeaderFields::find(uint32_t index, std::string_view name) const
{
    uint32_t seen = 0;
    for (size_t at = 0; at < fields_.size(); ++at)
        if (!fields_[at].hidden && ascii::equal(fields_[at].name(), name) && ++seen >= index)
            return at;
    return fields_.size();
}

void HeaderFields::change(uint32_t index, HeaderField field)
{
    const size_t at = find(index, field.name());
    if (at == fields_.size())
        return add(std::move(field));
    changed_ = true;
    size_ += field.text.size() - fields_[at].text.size();
    fields_[at] = std::move(field);
}

void HeaderFields::remove(uint32_t index, std::string_view name)
{
    const size_t at = find(index, name);
    if (at == fields_.size())
        return;
    changed_ = true;
    size_ -= fields_[at].text.size();
    fields_.erase(fields_.begin() + static_cast<ptrdiff_t>(at));
}

std::string HeaderFields::text() const
{
    std::string all;
    all.reserve(size_);
    for (const HeaderField& field : fields_)
        all.append(field.text);
    return all;
}

} // namespace posthouse::milter
