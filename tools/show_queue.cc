// mailq, postqueue -p and -j, and how the commands for the queue read main.cf: see show_queue.h.
#include "tools/show_queue.h"

#include "lib/base/cat.h"
#include "lib/ipc/channel.h"
#include "lib/queue/drop_listing.h"
#include "tools/control_client.h"
#include "tools/queue_report.h"
#include "tools/queue_scan.h"
#include "tools/set_gid.h"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <string>
#include <sys/statvfs.h>
#include <sysexits.h>
#include <unistd.h>

namespace posthouse::tools {

namespace {

void print(const std::string& text)
{
    std::fwrite(text.data(), 1, text.size(), stdout);
}

void complain(std::string_view program, const std::string& text)
{
    std::fputs(cat(program, ": ", text, "\n").c_str(), stderr);
}

// Why nothing new comes in: not to be seen from the messages.
void warn_when_full(const config::Config& config, std::string_view program)
{
    const std::string& directory = config.text("queue_directory");
    struct statvfs space {};
    if (::statvfs(directory.c_str(), &space) != 0)
        return;
    const uint64_t bytes = static_cast<uint64_t>(space.f_bavail) * space.f_frsize;
    const auto wanted = std::max<uint64_t>(static_cast<uint64_t>(config.number("queue_minfree")),
                                           static_cast<uint64_t>(config.number("queue_slot_size")));
    if (bytes < wanted)
        complain(program, cat("warning: the queue's file system is full: ", directory, " has ", bytes,
                              " bytes left, no mail is taken below ", wanted));
}

// As far as the caller may look into it: whoever may only put something there sees nothing.
template <class Show>
void show_maildrop(const std::string& queue_directory, const Show& show)
{
    const auto names = queue::list_drops(queue_directory);
    if (!names)
        return;
    for (const std::string& name : *names)
        for (const queue::ListEntry& entry : queue::listed_drop(queue_directory, name))
            show(entry);
}

} // namespace

int show_queue(const config::Config& config, ListingStyle style, std::string_view program)
{
    QueueTable table;
    const auto show = [style, &table](const queue::ListEntry& entry) {
        print(style == ListingStyle::Json ? queue_json(entry) : table.add(entry));
    };
    warn_when_full(config, program);
    auto client = ControlClient::connect(config.text("queue_directory"));
    Result<void> listed;
    if (client) {
        auto end = (*client)->ask(queue::ControlList().to_frame(), show);
        if (!end)
            listed = std::move(end.error());
        else if (end->denied) {
            complain(program, cat("fatal: ", end->text));
            return EX_NOPERM;
        } else if (!end->ok)
            listed = Error(ErrorKind::Temporary, end->text);
    } else {
        listed = scan_queue(config.text("queue_directory"), show);
        const std::string why = client.error().full_text();
        if (!listed && client.error().errno_value() == EACCES) { // it may well be up
            complain(program, cat("fatal: Queue report unavailable - no right to ask the queue manager (", why, ")"));
            return EX_NOPERM;
        }
        complain(program, listed ? cat("warning: Mail system is down -- accessing queue directly (", why, ")")
                                 : cat("fatal: Queue report unavailable - mail system is down (", why, ")"));
        if (!listed)
            return EX_UNAVAILABLE;
        show_maildrop(config.text("queue_directory"), show);
    }
    if (!listed) {
        complain(program, cat("fatal: ", listed.error().full_text()));
        return EX_SOFTWARE;
    }
    if (style == ListingStyle::Table)
        print(table.end());
    return std::fflush(stdout) == 0 ? EX_OK : EX_IOERR;
}

std::unique_ptr<config::Config> command_config(const std::string& directory_option, std::string_view program)
{
    // postqueue is set-gid: nobody may point it at sockets of their own.
    auto directory = trusted_config_directory(directory_option);
    if (!directory) {
        complain(program, cat("fatal: ", directory.error().full_text()));
        return nullptr;
    }
    std::vector<config::Fault> faults;
    auto config = config::Config::load(*directory, config::Overrides(), faults);
    if (config)
        return std::move(*config);
    bool told = false;
    for (const config::Fault& fault : faults) {
        if (fault.warning) // for `posthouse check`
            continue;
        complain(program, cat("fatal: ", fault.to_text()));
        told = true;
    }
    if (!told)
        complain(program, cat("fatal: ", config.error().full_text()));
    return nullptr;
}

} // namespace posthouse::tools
