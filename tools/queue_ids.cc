// Queue IDs of the command line: see queue_ids.h.
#include "tools/queue_ids.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/log/log.h"
#include "lib/queue/queue_id.h"

#include <algorithm>
#include <cstdio>

namespace posthouse::tools {

namespace {

std::vector<std::string> first_words_of_input()
{
    std::vector<std::string> words;
    char line[1024];
    while (std::fgets(line, sizeof line, stdin)) {
        const auto parts = ascii::split(line, " \t\r\n");
        if (!parts.empty())
            words.emplace_back(parts.front());
    }
    return words;
}

} // namespace

bool is_queue_id(std::string_view program, const std::string& id)
{
    if (queue::number_of(id) || id.starts_with("slot."))
        return true;
    std::fputs(cat(program, ": warning: invalid mail queue id: ", log::sanitise(id, 100), '\n').c_str(), stderr);
    return false;
}

std::vector<std::string> queue_ids_from(std::string_view program, const std::string& argument)
{
    std::vector<std::string> ids =
        argument == "-" ? first_words_of_input() : std::vector<std::string>(1, argument);
    std::erase_if(ids, [&](const std::string& id) { return !is_queue_id(program, id); });
    return ids;
}

} // namespace posthouse::tools
