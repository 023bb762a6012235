// Logical lines and balanced braces: see lines.h.
#include "lib/config/lines.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"

#include <algorithm>

namespace posthouse::config {

namespace {

// Tabs and the other white space are layout; any other control character is damage or an attack.
bool has_control(std::string_view text)
{
    return std::any_of(text.begin(), text.end(), [](char c) { return ascii::is_control(c) && !ascii::is_space(c); });
}

} // namespace

std::vector<LogicalLine> logical_lines(std::string_view text, const std::string& file, std::vector<Fault>& faults)
{
    std::vector<LogicalLine> lines;
    int number = 0;
    while (!text.empty()) {
        size_t end = text.find('\n');
        std::string_view physical = text.substr(0, end);
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        ++number;
        std::string_view content = ascii::trim(physical);
        // Comments and empty lines may stand inside a continued line without ending it.
        if (content.empty() || content.front() == '#')
            continue;
        if (has_control(content)) {
            faults.push_back({file, number, "", "a control character stands in the line"});
        } else if (!ascii::is_space(physical.front())) {
            lines.push_back({number, std::string(content)});
        } else if (lines.empty()) {
            faults.push_back({file, number, "", "the first line begins with white space, but there is none to continue"});
        } else {
            append_to(lines.back().text, ' ', content);
        }
    }
    return lines;
}

Braced find_braced(std::string_view text, size_t open)
{
    char opener = text[open];
    char closer = opener == '{' ? '}' : ')';
    size_t depth = 0;
    for (size_t at = open; at < text.size(); ++at) {
        if (text[at] == opener)
            ++depth;
        else if (text[at] == closer && --depth == 0)
            return {text.substr(open + 1, at - open - 1), at};
    }
    return {{}, std::string_view::npos};
}

} // namespace posthouse::config
