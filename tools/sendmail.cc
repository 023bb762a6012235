// NAME
//     sendmail - submit mail, and the commands that come with it
// SYNOPSIS
//     sendmail [option ...] [recipient ...]
//     mailq
//     newaliases
// DESCRIPTION
//     sendmail reads a message from standard input, until its end or a line with nothing but a dot, and
//     hands it to postdrop(1), which stores it for pickup(8). It works while the mail system is down:
//     the message waits. It is the command that cron, mailx, git, PHP and other programs send mail with.
//
//     Called as mailq it lists the queue; called as newaliases it rebuilds the alias database.
//
//     Options of other sendmail programs that are not listed here are accepted and ignored.
// OPTIONS
//     -bm         Read a message from standard input and queue it. This is the default.
//     -bd, -bD    Start the mail system: posthouse start.
//     -bi, -I     Rebuild the alias database, as newaliases.
//     -bp         List the queue, as mailq.
//     -bs         Speak SMTP on standard input and output.
//     -bv         Do not deliver: ask the next hosts, and mail a report of what they say of each recipient.
//     -B type     7BIT or 8BITMIME.
//     -C config   The directory of main.cf. Also: environment variable MAIL_CONFIG.
//     -F name     The sender's full name, for a message without From:. Otherwise the environment variable
//                 NAME, or the name in the password file.
//     -f sender   The envelope sender. -r is the same.
//     -G          The message comes from elsewhere: leave its headers as they are.
//     -i, -oi     A line with a dot does not end the message.
//     -N dsn      delay, failure, success (several with commas) or never: when to report (RFC 3461).
//     -q          Try to deliver all queued mail now; -qIid one message; -qRsite one destination.
//     -R return   full or hdrs: what a bounce quotes of the message.
//     -t          Also take recipients from To:, Cc: and Bcc: (with Resent- ones, from these alone).
//     -U          The message needs SMTPUTF8.
//     -V envid    The envelope id of the message (RFC 3461).
//     -v          Mail a report of the first delivery attempt.
// DIAGNOSTICS
//     The exit status is that of sysexits.h: 0 when the message is safely stored, 64 for wrong usage, 65
//     when no recipient is found, 69 when the message is too big, 75 for a failure that may go away (an
//     unusable configuration is one), 77 when the user may not submit mail.
// ENVIRONMENT
//     MAIL_CONFIG, NAME, TZ. All others are dropped.
// SEE ALSO
//     postdrop(1), pickup(8), mailq(1), newaliases(1), postqueue(1)
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "lib/log/log.h"
#include "lib/mail/address_list.h"
#include "lib/queue/drop_file.h"
#include "tools/postdrop_pipe.h"
#include "tools/sendmail_message.h"
#include "tools/sendmail_options.h"
#include "tools/sendmail_smtp.h"
#include "tools/set_gid.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <pwd.h>
#include <string>
#include <sysexits.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace posthouse::tools {
namespace {

int fail(int status, const std::string& text)
{
    std::fprintf(stderr, "sendmail: fatal: %s\n", log::sanitise(text).c_str());
    return status;
}

// The user's own name and full name ("&" in it stands for the login name).
class Caller {
public:
    explicit Caller(const char* name_variable)
    {
        const passwd* entry = ::getpwuid(::getuid());
        login = entry ? std::string(entry->pw_name) : cat("uid-", ::getuid());
        if (name_variable && *name_variable) {
            full_name = name_variable;
            return;
        }
        const std::string_view field = entry && entry->pw_gecos ? entry->pw_gecos : "";
        for (const char c : field.substr(0, field.find(','))) {
            if (c != '&')
                full_name.push_back(c);
            else if (!login.empty())
                append_to(full_name, ascii::to_upper(login.front()), std::string_view(login).substr(1));
        }
    }
    std::string login;
    std::string full_name;
};

std::string without_line_ends(std::string text)
{
    for (char& c : text)
        if (c == '\r' || c == '\n' || c == '\0')
            c = ' ';
    return text;
}

queue::DropAttributes attributes_from(const SendmailOptions& options, const Caller& caller)
{
    queue::DropAttributes attributes;
    attributes.sender = without_line_ends(options.sender.value_or(caller.login));
    attributes.full_name = without_line_ends(options.full_name.empty() ? caller.full_name : options.full_name);
    attributes.notify = options.notify;
    attributes.ret = options.ret;
    attributes.envid = options.envid;
    attributes.body_8bit = options.body_8bit;
    attributes.smtputf8 = options.smtputf8;
    attributes.gateway = options.gateway;
    attributes.trace = options.trace;
    return attributes;
}

// Everything from standard input through to postdrop. 0, or an exit status when it cannot go on.
int copy_message(PostdropPipe& postdrop, queue::DropWriter& writer, MessageInput& input)
{
    std::vector<char> buffer(queue::drop_record_limit);
    while (!input.ended()) {
        const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return fail(EX_IOERR, Error::system("reading the message", errno).full_text());
        if (count == 0)
            break;
        const std::string content = input.take(std::string_view(buffer.data(), static_cast<size_t>(count)));
        if (!postdrop.write(writer.content(content)))
            return postdrop.finish();
    }
    if (!postdrop.write(writer.content(input.finish())))
        return postdrop.finish();
    return EX_OK;
}

int enqueue(const SendmailOptions& options, const config::Config& config, const Caller& caller)
{
    std::vector<std::string> recipients;
    for (const std::string& argument : options.recipients)
        for (std::string& address : mail::addresses_of(argument, queue::drop_recipient_limit + 1))
            recipients.push_back(without_line_ends(std::move(address)));
    if (recipients.empty() && !options.recipients_from_header)
        return fail(EX_USAGE, "Recipient addresses must be specified on the command line or via the -t option");

    auto postdrop = PostdropPipe::start(config);
    if (!postdrop)
        return fail(EX_TEMPFAIL, postdrop.error().full_text());
    queue::DropWriter writer;
    std::string out = writer.begin(attributes_from(options, caller));
    for (const std::string& recipient : recipients)
        out += writer.recipient(recipient);
    if (!postdrop->write(out))
        return postdrop->finish();
    MessageInput input(options.dot_ends, options.recipients_from_header);
    if (const int status = copy_message(*postdrop, writer, input); status != EX_OK)
        return status;
    if (input.recipients_cut())
        return fail(EX_DATAERR, "A list of recipients in the message header is too long");
    out.clear();
    for (const std::string& recipient : input.recipients())
        out += writer.recipient(without_line_ends(recipient));
    if (recipients.empty() && input.recipients().empty())
        return fail(EX_DATAERR, "No recipient addresses found in message header");
    out += writer.end();
    (void)postdrop->write(out); // its status tells
    return postdrop->finish();
}

// Becomes another command of the suite. Returns only when that fails.
int become(const std::string& directory, const std::string& program, std::vector<std::string> arguments,
           const config::Config& config)
{
    const std::string path = cat(directory, '/', program);
    ::setenv("MAIL_CONFIG", config.directory().c_str(), 1);
    arguments.insert(arguments.begin(), program);
    std::vector<char*> argv;
    for (std::string& argument : arguments)
        argv.push_back(argument.data());
    argv.push_back(nullptr);
    ::execv(path.c_str(), argv.data());
    return fail(EX_OSFILE, Error::system(cat("execute ", path), errno).full_text());
}

int run_mode(const SendmailOptions& options, const config::Config& config, const Caller& caller)
{
    const std::string& commands = config.text("command_directory");
    switch (options.mode) {
    case SendmailMode::Enqueue:
        return enqueue(options, config, caller);
    case SendmailMode::Smtp:
        return serve_smtp(config);
    case SendmailMode::ListQueue:
        return become(commands, "postqueue", {"-p"}, config);
    case SendmailMode::Aliases: {
        std::vector<std::string> databases = config.list("alias_database");
        databases.insert(databases.begin(), "--");
        return become(commands, "postalias", std::move(databases), config);
    }
    case SendmailMode::Daemon:
        return become(commands, "posthouse", {"start"}, config);
    case SendmailMode::FlushAll:
        return become(commands, "postqueue", {"-f"}, config);
    case SendmailMode::FlushSite:
        return become(commands, "postqueue", {"-s", options.flush_argument}, config);
    case SendmailMode::FlushId:
        return become(commands, "postqueue", {"-i", options.flush_argument}, config);
    }
    return EX_SOFTWARE;
}

constexpr const char* usage =
    "usage: sendmail [-i] [-t] [-f sender] [-F name] [-N dsn] [-R full|hdrs] [-V envid] [-C config_dir] [recipient...]\n"
    "       sendmail -bp | -bi | -bs | -bv recipient... | -q | -qIid | -qRsite\n"
    "  reads a message from standard input and queues it, also while the mail system is down\n";

// -C may name main.cf as well as its directory.
std::string config_directory(std::string option)
{
    constexpr std::string_view file = "/main.cf";
    if (option.ends_with(file))
        option.resize(option.size() - file.size());
    return config::Config::directory_from(option);
}

int run(int argc, char** argv)
{
    const char* name_variable = std::getenv("NAME");
    const Caller caller(name_variable);
    secure_start();
    std::signal(SIGPIPE, SIG_IGN);
    if (argc == 2 && std::string_view(argv[1]) == "--help") {
        std::fputs(usage, stdout);
        return EX_OK;
    }
    auto options = parse_sendmail_options(std::vector<std::string>(argv + std::min(argc, 1), argv + argc));
    if (!options)
        return fail(EX_USAGE, options.error().text());
    for (const std::string& warning : options->warnings)
        std::fprintf(stderr, "sendmail: warning: %s\n", log::sanitise(warning).c_str());
    const std::string_view called = argc > 0 ? argv[0] : "sendmail";
    if (called.ends_with("mailq"))
        options->mode = SendmailMode::ListQueue;
    else if (called.ends_with("newaliases"))
        options->mode = SendmailMode::Aliases;

    std::vector<config::Fault> faults;
    auto config = config::Config::load(config_directory(options->config), config::Overrides(), faults);
    if (!config) {
        for (const config::Fault& fault : faults)
            std::fprintf(stderr, "sendmail: %s\n", fault.to_text().c_str());
        return fail(EX_TEMPFAIL, config.error().full_text());
    }
    return run_mode(*options, **config, caller);
}

} // namespace
} // namespace posthouse::tools

int main(int argc, char** argv)
{
    return posthouse::tools::run(argc, argv);
}
