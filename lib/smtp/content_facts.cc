// Facts about content: see content_facts.h.
#include "lib/smtp/content_facts.h"

#include "lib/smtp/data_reader.h"

#include <algorithm>

namespace posthouse::smtp {

void ContentFacts::merge(const ContentFacts& other)
{
    has_8bit_header |= other.has_8bit_header;
    has_8bit_body |= other.has_8bit_body;
    has_leading_dot |= other.has_leading_dot;
    has_bare |= other.has_bare;
    longest_line = std::max(longest_line, other.longest_line);
}

uint8_t ContentFacts::flags() const
{
    return static_cast<uint8_t>((has_8bit_header ? 1 : 0) | (has_8bit_body ? 2 : 0) | (has_leading_dot ? 4 : 0) |
                                (has_bare ? 8 : 0));
}

ContentFacts ContentFacts::from_stored(uint8_t flags, uint32_t longest_line)
{
    ContentFacts facts;
    facts.has_8bit_header = flags & 1;
    facts.has_8bit_body = flags & 2;
    facts.has_leading_dot = flags & 4;
    facts.has_bare = flags & 8;
    facts.longest_line = longest_line;
    return facts;
}

ContentFacts facts_of_content(std::string_view content)
{
    DataReader reader;
    while (!content.empty())
        content.remove_prefix(reader.scan_chunk(content).consumed);
    (void)reader.finish_chunks(); // looked at, not sent
    return reader.facts();
}

ContentFacts facts_of_header(std::string_view lines)
{
    ContentFacts facts = facts_of_content(lines);
    // An empty line within would make the reader count what follows as body.
    facts.has_8bit_header |= facts.has_8bit_body;
    facts.has_8bit_body = false;
    return facts;
}

} // namespace posthouse::smtp
