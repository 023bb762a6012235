/*
NAME
	postlog - write a line to the mail log

SYNOPSIS
	postlog [-iv] [-c config_dir] [-p priority] [-t tag] [text...]

DESCRIPTION
	postlog writes the text, or each line of standard input when there is none, to where the mail system
	logs: maillog_file or syslog. For scripts that work on the mail system's behalf. When standard error
	is a terminal, it gets a copy.

	-c config_dir
	    The directory of main.cf instead of the default or MAIL_CONFIG.
	-i  Accepted: the process id is always part of a line.
	-p priority
	    info (the default), warn, error, fatal or panic.
	-t tag
	    Instead of postlog in syslog_name/postlog.
	-v  Accepted without effect.

ENVIRONMENT
	MAIL_CONFIG
	    The configuration directory, when there is no -c.

DIAGNOSTICS
	Exit status 0: written. 1: the log cannot be opened. 64: wrong usage.

SEE ALSO
	main.cf(5)
*/
#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "lib/log/log.h"
#include "lib/service/log_setup.h"

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace posthouse::tools {

namespace {

constexpr int usage_status = 64;
constexpr const char* usage =
    "usage: postlog [-iv] [-c config_dir] [-p info|warn|error|fatal|panic] [-t tag] [text...]\n"
    "  writes the words, or each line of standard input, into the mail log\n";

struct Priority {
    const char* name;
    log::Level level;
};
constexpr Priority priorities[] = {
    {"info", log::Level::Info},   {"warn", log::Level::Warning}, {"warning", log::Level::Warning},
    {"error", log::Level::Error}, {"fatal", log::Level::Fatal},  {"panic", log::Level::Panic},
};
constexpr const char* level_words[] = {"", "", "warning: ", "error: ", "fatal: ", "panic: "};

struct Options {
    std::string directory;
    std::string tag = "postlog";
    log::Level level = log::Level::Info;
    std::vector<std::string> words;
};

std::optional<log::Level> find_level(std::string_view name)
{
    for (const Priority& priority : priorities)
        if (name == priority.name)
            return priority.level;
    return std::nullopt;
}

std::optional<Options> parse_options(int argc, char** argv)
{
    Options options;
    for (int letter; (letter = ::getopt(argc, argv, "+c:ip:t:v")) != -1;) {
        if (letter == 'c') {
            options.directory = optarg;
        } else if (letter == 't') {
            options.tag = optarg;
        } else if (letter == 'p') {
            const auto level = find_level(optarg);
            if (!level)
                return std::nullopt;
            options.level = *level;
        } else if (letter == '?') {
            return std::nullopt;
        }
    }
    options.words.assign(argv + optind, argv + argc);
    return options;
}

void write_line(const Options& options, std::string_view line)
{
    log::write(options.level, line);
    if (::isatty(STDERR_FILENO))
        fprintf(stderr, "%s: %s%s\n", options.tag.c_str(), level_words[static_cast<size_t>(options.level)],
                log::sanitise(line).c_str());
}

void copy_input(const Options& options)
{
    char* line = nullptr;
    size_t size = 0;
    for (ssize_t got; (got = ::getline(&line, &size, stdin)) >= 0;) {
        std::string_view text(line, static_cast<size_t>(got));
        if (text.ends_with('\n'))
            text.remove_suffix(1);
        write_line(options, text);
    }
    ::free(line);
}

int run(int argc, char** argv)
{
    if (argc == 2 && std::string_view(argv[1]) == "--help") {
        fputs(usage, stdout);
        return 0;
    }
    const auto options = parse_options(argc, argv);
    if (!options) {
        fputs(usage, stderr);
        return usage_status;
    }
    // A script's line has its place in the log also while main.cf has a fault.
    std::vector<config::Fault> faults;
    auto config = config::Config::load_with_faults(config::Config::directory_from(options->directory), config::Overrides(), faults);
    if (!config) {
        fprintf(stderr, "postlog: %s\n", config.error().full_text().c_str());
        return 1;
    }
    if (auto opened = service::open_log(**config, options->tag); !opened) {
        fprintf(stderr, "postlog: %s\n", opened.error().full_text().c_str());
        return 1;
    }
    if (options->words.empty()) {
        copy_input(*options);
        return 0;
    }
    std::string text;
    for (const std::string& word : options->words)
        append_to(text, text.empty() ? "" : " ", word);
    write_line(*options, text);
    return 0;
}

} // namespace

} // namespace posthouse::tools

int main(int argc, char** argv) { return posthouse::tools::run(argc, argv); }
