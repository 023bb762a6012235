// What was seen of a message's content while it was read: lets a later hand-over skip looking at each byte.
#pragma once

#include <cstdint>
#include <string_view>

namespace posthouse::smtp {

class ContentFacts {
public:
    ContentFacts() = default;

    bool has_8bit_header = false;
    bool has_8bit_body = false;
    bool has_leading_dot = false; // a line of the content (after unstuffing) starts with '.'
    bool has_bare = false;        // as sent it held a bare CR or LF; the content kept is normalised
    uint32_t longest_line = 0;    // bytes without CRLF

    // Takes in the facts of lines that are added to the message (a Received: header).
    void merge(const ContentFacts& other);
    // The four flags as bits, in the order above, for storing.
    uint8_t flags() const;
    static ContentFacts from_stored(uint8_t flags, uint32_t longest_line);

    bool operator==(const ContentFacts&) const = default;
};

// Facts of whole CRLF lines that belong to the header.
ContentFacts facts_of_header(std::string_view lines);

// Facts of a whole message, header and body, in wire form: what a DataReader would have seen of it.
ContentFacts facts_of_content(std::string_view content);

} // namespace posthouse::smtp
