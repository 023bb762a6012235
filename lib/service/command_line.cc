// Parsing a daemon's command line: see command_line.h.
#include "lib/service/command_line.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"

namespace posthouse::service {

namespace {

constexpr size_t most_listeners = 256;

Error usage(std::string text) { return Error(ErrorKind::Config, std::move(text)); }

Result<void> apply_option(char letter, const std::string& value, CommandLine& line)
{
    switch (letter) {
    case 'c':
        line.directory = value;
        return Result<void>();
    case 'n':
        line.service_name = value;
        return Result<void>();
    case 'o':
        return line.overrides.add_option(value);
    default: {
        const auto count = ascii::parse_unsigned(value);
        if (!count || *count > most_listeners)
            return usage(cat("-s: not a number of sockets: ", value));
        line.listeners = static_cast<size_t>(*count);
        return Result<void>();
    }
    }
}

} // namespace

Result<CommandLine> parse_command_line(const std::vector<std::string>& words)
{
    CommandLine line;
    size_t i = 0;
    for (; i < words.size(); ++i) {
        const std::string& word = words[i];
        if (word == "--") {
            ++i;
            break;
        }
        if (word.size() != 2 || word[0] != '-')
            break; // arguments of the program
        if (word[1] == 'z') {
            line.chroot = true;
        } else if (word[1] == 'u') {
            line.give_up_root = true;
        } else if (word[1] == 'k') {
            line.check = true;
        } else if (std::string_view("cnos").find(word[1]) != std::string_view::npos) {
            if (++i == words.size())
                return usage(cat(word, ": a value is missing"));
            RETURN_IF_ERROR(apply_option(word[1], words[i], line));
        } else {
            break;
        }
    }
    if (line.service_name.empty())
        return usage("-n: the service is missing");
    line.arguments.assign(words.begin() + static_cast<ptrdiff_t>(i), words.end());
    line.directory = config::Config::directory_from(line.directory);
    return line;
}

} // namespace posthouse::service
