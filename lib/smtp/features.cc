// The lines of an answer to EHLO: see features.h.
#include "lib/smtp/features.h"

#include "lib/base/ascii.h"

namespace posthouse::smtp {

namespace {

bool is_discarded(std::string_view keyword, const std::vector<std::string>& discarded)
{
    for (const std::string& name : discarded)
        if (ascii::equal(name, keyword))
            return true;
    return false;
}

} // namespace

Features Features::from_ehlo(const Reply& reply, const std::vector<std::string>& discarded)
{
    Features features;
    const auto lines = ascii::split(reply.text, "\n");
    for (size_t i = 1; i < lines.size(); ++i) { // the first is the host's name
        const auto words = ascii::split(lines[i], " \t");
        if (words.empty() || is_discarded(words[0], discarded))
            continue;
        if (ascii::equal(words[0], "PIPELINING")) {
            features.pipelining = true;
        } else if (ascii::equal(words[0], "8BITMIME")) {
            features.eight_bit = true;
        } else if (ascii::equal(words[0], "SMTPUTF8")) {
            features.smtputf8 = true;
        } else if (ascii::equal(words[0], "DSN")) {
            features.dsn = true;
        } else if (ascii::equal(words[0], "SIZE")) {
            features.size = true;
            features.size_limit = words.size() > 1 ? ascii::parse_unsigned(words[1]).value_or(0) : 0;
        } else if (ascii::equal(words[0], "XFORWARD")) {
            features.xforward = ascii::upper(lines[i].substr(words[0].size()));
        }
    }
    return features;
}

} // namespace posthouse::smtp
