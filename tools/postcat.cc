/*
NAME
    postcat - show the contents of queue files
SYNOPSIS
    postcat [-bdefhnoqrv] [-c DIR] [-s OFFSET] FILE...
    postcat -q [-bdefhnorv] [-c DIR] [-s OFFSET] ID...
DESCRIPTION
    postcat prints the named queue files in a form for people: envelope, header and body of the message,
    or the parts that are asked for. It reads only, and may be used while the mail system runs.

    -b         show the body
    -c DIR     configuration directory; default: the environment's MAIL_CONFIG, or the built-in one
    -d         before each record the number of its type, as Postfix numbers them
    -e         show the envelope
    -f         before each line the name of the file
    -h         show the header
    -n         without the lines that mark where a part begins
    -o         before each record or line its offset in the file
    -q         the arguments are queue IDs: look for them in the queue, the damaged ones in corrupt/ too
    -r         accepted: records are always shown in file order
    -s OFFSET  show the content from this offset of the file on
    -v         name the type of each line of the content
    --help     print a summary
    Without -b, -e and -h everything is shown.

    Files of maildrop/, which no daemon has seen yet, are shown too, by their names.

    A recipient that is settled is shown as done_recipient, with what became of it. A file that is damaged is
    shown as far as it can be read, with a warning.
DIAGNOSTICS
    Exit status 0 on success, 1 when a file cannot be found or read or is damaged, 64 for a wrong command line,
    78 when main.cf cannot be used.
SEE ALSO
    postqueue(1), postsuper(1), postconf(5)
*/
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/queue/queue_file.h"
#include "lib/queue/queue_id.h"
#include "lib/queue/slot_files.h"
#include "tools/postcat_drop.h"
#include "tools/show_queue.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <optional>
#include <sysexits.h>
#include <unistd.h>

using namespace posthouse;

namespace {

constexpr const char* usage =
    "usage: postcat [-b (body text)] [-c config_dir] [-d (decimal record type)] [-e (envelope records)]\n"
    "               [-f (file names)] [-h (header text)] [-n (no marks)] [-o (offsets)] [-q (queue IDs)]\n"
    "               [-r] [-s offset] [-v] file...\n";

struct Options {
    std::string directory;
    bool body = false;
    bool envelope = false;
    bool header = false;
    bool decimal = false;
    bool file_names = false;
    bool marks = true;
    bool offsets = false;
    bool by_id = false;
    bool verbose = false;
    uint64_t from = 0;
};

// Shows one file.
class Printer {
public:
    Printer(const Options& options, std::string name) : options_(options), name_(std::move(name)) {}

    bool show(int fd, const queue::Examination& examination);

private:
    void prefix(uint64_t offset, char type) const;
    void record(char type, std::string_view label, std::string_view value) const;
    void time_record(std::string_view label, int64_t wall_us) const;
    void attribute(std::string_view label, std::string_view value) const;
    void mark(uint64_t offset, char type, std::string_view text) const;
    void show_envelope(const queue::StoredMessage& message) const;
    void show_origin(const mail::Envelope& envelope) const;
    void show_recipients(const queue::StoredMessage& message) const;
    bool show_content(int fd, const queue::ContentInfo& content) const;
    void show_line(std::string_view line, uint64_t offset, bool whole) const;

    const Options& options_;
    const std::string name_;
    mutable uint64_t envelope_at_ = 0;
};

void put(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stdout); }

void Printer::prefix(uint64_t offset, char type) const
{
    if (options_.file_names)
        put(cat(name_, ": "));
    if (options_.offsets)
        std::printf("%9llu ", static_cast<unsigned long long>(offset));
    if (options_.decimal)
        std::printf("%3d ", type);
}

void Printer::record(char type, std::string_view label, std::string_view value) const
{
    prefix(envelope_at_, type);
    put(cat(label, ": ", value, '\n'));
}

void Printer::time_record(std::string_view label, int64_t wall_us) const
{
    const time_t seconds = static_cast<time_t>(wall_us / 1000000);
    tm parts{};
    char text[64];
    ::localtime_r(&seconds, &parts);
    const size_t length = std::strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", &parts);
    record('T', label, std::string_view(text, length));
}

void Printer::attribute(std::string_view label, std::string_view value) const
{
    if (!value.empty())
        record('A', "named_attribute", cat(label, '=', value));
}

void Printer::mark(uint64_t offset, char type, std::string_view text) const
{
    if (!options_.marks)
        return;
    prefix(offset, type);
    put(cat("*** ", text, ' ', name_, " ***\n"));
}

void Printer::show_origin(const mail::Envelope& envelope) const
{
    attribute("log_client_name", envelope.client_name);
    attribute("log_client_address", envelope.client_address);
    attribute("log_client_port", envelope.client_port);
    attribute("log_helo_name", envelope.helo);
    attribute("log_protocol_name", envelope.protocol);
    attribute("sasl_method", envelope.sasl_method);
    attribute("sasl_username", envelope.sasl_username);
    attribute("sasl_sender", envelope.sasl_sender);
    attribute("rewrite_context", envelope.rewrite_context);
    attribute("envelope_id", envelope.envid);
    attribute("ret_flags", envelope.ret == mail::Return::Unspecified ? "" : cat(static_cast<int>(envelope.ret)));
    attribute("encoding", envelope.body_8bit ? "8bit" : "");
    attribute("smtputf8", envelope.smtputf8 ? "1" : "");
    attribute("requiretls", envelope.requiretls ? "1" : "");
    attribute("tls_required", envelope.tls_optional ? "no" : "");
    attribute("trace_flags", envelope.trace == mail::TraceNone ? "" : cat(static_cast<int>(envelope.trace)));
    if (!envelope.content_filter.empty())
        record('L', "content_filter", envelope.content_filter);
    if (!envelope.verp_delimiters.empty())
        record('V', "verp_delimiters", envelope.verp_delimiters);
}

void Printer::show_recipients(const queue::StoredMessage& message) const
{
    for (size_t i = 0; i < message.envelope.recipients.size(); ++i) {
        const mail::Recipient& recipient = message.envelope.recipients[i];
        attribute("dsn_orig_rcpt", recipient.orcpt);
        attribute("notify_flags", recipient.notify == mail::NotifyDefault ? "" : cat(static_cast<int>(recipient.notify)));
        if (!recipient.original.empty())
            record('O', "original_recipient", recipient.original);
        const bool done = i < message.states.size() && queue::is_settled(message.states[i]);
        record(done ? 'D' : 'R', done ? "done_recipient" : "recipient", recipient.address);
        if (i < message.states.size() && message.states[i] != queue::RecipientState::Pending)
            attribute("state", queue::to_text(message.states[i]));
    }
}

void Printer::show_envelope(const queue::StoredMessage& message) const
{
    envelope_at_ = message.content.offset + message.content.size;
    mark(envelope_at_, 'C', "ENVELOPE RECORDS");
    record('C', "message_size", cat(message.content.size, ' ', message.content.offset, ' ',
                                    message.envelope.recipients.size(), ' ', message.file_size));
    time_record("message_arrival_time", message.envelope.arrival_us);
    time_record("create_time", queue::time_of(message.id()).value_or(message.envelope.arrival_us));
    time_record("next_attempt_time", message.next_attempt_us);
    attribute("queue_id", message.id());
    attribute("hold", message.held ? "1" : "");
    attribute("force_expire", message.expire == queue::Expire::No ? "" : "1");
    attribute("delay_warned", message.warned ? "1" : "");
    record('S', "sender", message.envelope.sender);
    show_origin(message.envelope);
    show_recipients(message);
}

void Printer::show_line(std::string_view line, uint64_t offset, bool whole) const
{
    prefix(offset, whole ? 'N' : 'L');
    if (options_.verbose)
        put(whole ? "regular_text: " : "unterminated_text: ");
    put(line);
    put("\n");
}

// Lines, with CRLF as the line end; the empty line belongs to the body, as in Postfix's listing.
bool Printer::show_content(int fd, const queue::ContentInfo& content) const
{
    uint64_t at = std::max(content.offset, options_.from);
    const uint64_t end = content.offset + content.size;
    bool in_header = at == content.offset;
    std::string buffer;
    char chunk[65536];
    uint64_t read_at = at;
    while (at < end) {
        size_t length = buffer.find("\r\n");
        if (length == buffer.npos && read_at < end) {
            const auto want = static_cast<size_t>(std::min<uint64_t>(sizeof chunk, end - read_at));
            const auto got = pread_full(fd, chunk, want, read_at);
            if (!got || *got == 0)
                return false;
            buffer.append(chunk, *got);
            read_at += *got;
            continue;
        }
        const bool whole = length != buffer.npos;
        length = whole ? length : buffer.size();
        const std::string_view line = std::string_view(buffer).substr(0, length);
        const bool folded = !line.empty() && ascii::is_blank(line[0]);
        if (in_header && !folded && (line.empty() || line.find(':') == line.npos))
            in_header = false;
        if (in_header ? options_.header : options_.body)
            show_line(line, at, whole);
        at += length + (whole ? 2 : 0);
        buffer.erase(0, length + (whole ? 2 : 0));
    }
    return true;
}

bool Printer::show(int fd, const queue::Examination& examination)
{
    const queue::StoredMessage& message = examination.message;
    if (examination.verdict != queue::Verdict::Complete)
        std::fputs(cat("postcat: warning: ", name_, ": ",
                       examination.verdict == queue::Verdict::Free ? "no message is in this file" : examination.reason,
                       "\n").c_str(), stderr);
    if (message.content.offset == 0) // nothing could be read
        return false;
    if (options_.envelope && options_.from == 0)
        show_envelope(message);
    if (options_.envelope)
        mark(message.content.offset, 'M', "MESSAGE CONTENTS");
    const bool all = show_content(fd, message.content);
    if (options_.envelope) {
        mark(message.content.offset + message.content.size, 'X', "HEADER EXTRACTED");
        mark(message.states_offset + message.states.size(), 'E', "MESSAGE FILE END");
    }
    return all && examination.verdict == queue::Verdict::Complete;
}

std::optional<Options> parse(int argc, char** argv)
{
    Options options;
    for (int letter = 0; (letter = getopt(argc, argv, "bc:defhnoqrs:v")) != -1;) {
        switch (letter) {
        case 'b': options.body = true; break;
        case 'c': options.directory = optarg; break;
        case 'd': options.decimal = true; break;
        case 'e': options.envelope = true; break;
        case 'f': options.file_names = true; break;
        case 'h': options.header = true; break;
        case 'n': options.marks = false; break;
        case 'o': options.offsets = true; break;
        case 'q': options.by_id = true; break;
        case 'r': break;
        case 's':
            if (const auto offset = ascii::parse_unsigned(optarg))
                options.from = *offset;
            else
                return std::nullopt;
            break;
        case 'v': options.verbose = true; break;
        default: return std::nullopt;
        }
    }
    if (!options.body && !options.envelope && !options.header)
        options.body = options.envelope = options.header = true;
    if (optind == argc)
        return std::nullopt;
    return options;
}

// The file of a message in the queue, or of a damaged one.
std::string find_in_queue(const std::string& queue_directory, const std::string& id)
{
    const auto number = queue::number_of(id);
    const std::string damaged = cat(queue_directory, '/', queue::corrupt_directory, '/', id);
    if (number && ::access(damaged.c_str(), F_OK) != 0)
        return queue::SlotFiles(queue_directory).path(*number);
    return number ? damaged : std::string();
}

tools::DropView drop_view(const Options& options)
{
    tools::DropView view;
    view.envelope = options.envelope;
    view.header = options.header;
    view.body = options.body;
    view.marks = options.marks;
    view.file_names = options.file_names;
    view.line_types = options.verbose;
    return view;
}

bool show_file(const Options& options, const std::string& path, const std::string& name, const std::string& id)
{
    const auto file = path.empty() ? Result<UniqueFd>(Error::system("queue file", ENOENT))
                                   : open_at(AT_FDCWD, path, O_RDONLY);
    if (!file) {
        std::fputs(cat("postcat: fatal: open queue file ", name, ": ", file.error().text(), "\n").c_str(), stderr);
        return false;
    }
    if (id.empty() && tools::is_drop(file->get())) {
        auto shown = tools::show_drop(file->get(), name, drop_view(options));
        if (!shown)
            std::fputs(cat("postcat: warning: ", name, ": ", shown.error().full_text(), "\n").c_str(), stderr);
        return static_cast<bool>(shown);
    }
    // A file is shown under whatever name: its own number is taken from it.
    auto examination = queue::examine_file(file->get(), 0, queue::Depth::WithContent);
    if (examination && examination->message.number != 0)
        examination = queue::examine_file(file->get(), examination->message.number, queue::Depth::WithContent);
    if (!examination) {
        std::fputs(cat("postcat: fatal: ", name, ": ", examination.error().full_text(), "\n").c_str(), stderr);
        return false;
    }
    if (!id.empty() && (examination->id != id || examination->verdict == queue::Verdict::Free)) {
        std::fputs(cat("postcat: fatal: open queue file ", id, ": No such file or directory\n").c_str(), stderr);
        return false;
    }
    Printer printer(options, name);
    return printer.show(file->get(), *examination);
}

} // namespace

int main(int argc, char** argv)
{
    if (argc == 2 && std::strcmp(argv[1], "--help") == 0) {
        std::fputs(usage, stdout);
        return EX_OK;
    }
    const auto options = parse(argc, argv);
    if (!options) {
        std::fputs(usage, stderr);
        return EX_USAGE;
    }
    std::unique_ptr<config::Config> config;
    if (options->by_id) {
        config = tools::command_config(options->directory, "postcat");
        if (!config)
            return EX_CONFIG;
    }
    bool all_shown = true;
    for (int i = optind; i < argc; ++i) {
        const std::string argument = argv[i];
        if (config)
            all_shown &= show_file(*options, find_in_queue(config->text("queue_directory"), argument), argument, argument);
        else
            all_shown &= show_file(*options, argument, argument, "");
    }
    return all_shown ? EX_OK : 1;
}
