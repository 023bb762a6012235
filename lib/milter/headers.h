// HeaderFields: the header of a message, as milters see and change it. Pure; whole fields as they stand in the message.
//
// The field that we have put on top ourselves (Received:) is hidden: filters are not shown it, and it does not count for
// changes. It does count for insertions, so that index 1 is the place right below it (Sendmail adds its own afterwards).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::milter {

class HeaderField {
public:
    HeaderField(std::string its_text, size_t its_name_length, bool is_hidden = false)
        : text(std::move(its_text)), name_length(its_name_length), hidden(is_hidden)
    {
    }
    // From a filter's words: lines of the value end in LF there; each further line begins with a blank here, whatever
    // the filter sent, so that none becomes a field of its own.
    static HeaderField make(std::string_view name, std::string_view value, bool leading_space);

    std::string_view name() const { return std::string_view(text).substr(0, name_length); }
    // The value as filters see it: lines separated by LF. With `leading_space` all behind the colon, else without the
    // one space that usually follows it.
    std::string value(bool leading_space) const;

    std::string text; // with its line end
    size_t name_length;
    bool hidden;
};

// RFC 5322 section 2.2: what a filter may call a field.
bool is_field_name(std::string_view name);

class HeaderFields {
public:
    const std::vector<HeaderField>& all() const { return fields_; }
    size_t size() const { return size_; } // in bytes
    bool changed() const { return changed_; }

    void append(HeaderField field); // as read; no change

    void add(HeaderField field);
    void insert(uint32_t index, HeaderField field);
    // The index-th (from 1) visible field of that name; when there is none, the field is added.
    void change(uint32_t index, HeaderField field);
    void remove(uint32_t index, std::string_view name);

    std::string text() const;

private:
    size_t find(uint32_t index, std::string_view name) const;

    std::vector<HeaderField> fields_;
    size_t size_ = 0;
    bool changed_ = false;
};

} // namespace posthouse::milter
