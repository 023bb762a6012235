// Reading the parameters: see settings.h.
#include "local/settings.h"

#include "lib/base/cat.h"
#include "local/mailbox_job.h"

#include <algorithm>

namespace posthouse::local {

namespace {
Result<uint8_t> parse_locks(const config::Config& config, const char* parameter)
{
    uint8_t locks = 0;
    for (const std::string& word : config.list(parameter)) {
        if (word == "fcntl")
            locks |= MailboxJob::LockFcntl;
        else if (word == "flock")
            locks |= MailboxJob::LockFlock;
        else if (word == "dotlock")
            locks |= MailboxJob::LockDotfile;
        else
            return Error(ErrorKind::Config, cat(parameter, ": unknown lock method \"", word, '"'));
    }
    return locks;
}

bool lists(const config::Config& config, const char* parameter, const char* word)
{
    const auto words = config.list(parameter);
    return std::find(words.begin(), words.end(), word) != words.end();
}
} // namespace

Result<Settings> Settings::from_config(const config::Config& config, Mode mode)
{
    Settings settings;
    settings.mode = mode;
    settings.host_name = config.text("myhostname");
    settings.mail_name = config.text("mail_name");
    settings.origin = config.text("myorigin");
    settings.delimiters = config.text("recipient_delimiter");
    settings.home_mailbox = config.text("home_mailbox");
    settings.spool_directory = config.text("mail_spool_directory");
    const bool is_local = mode == Mode::Local;
    settings.size_limit = static_cast<uint64_t>(config.number(is_local ? "mailbox_size_limit" : "virtual_mailbox_limit"));
    auto locks = parse_locks(config, is_local ? "mailbox_delivery_lock" : "virtual_mailbox_lock");
    if (!locks)
        return std::move(locks.error());
    settings.locks = *locks;
    settings.lock_attempts = static_cast<uint32_t>(config.number("deliver_lock_attempts"));
    settings.lock_delay = config.duration("deliver_lock_delay");
    settings.stale_lock_seconds = static_cast<uint32_t>(config.duration("stale_lock_time").whole_seconds());
    settings.strict_ownership = config.boolean("strict_mailbox_ownership");
    settings.virtual_base = config.text("virtual_mailbox_base");
    settings.minimum_uid = static_cast<uint32_t>(config.number("virtual_minimum_uid"));
    settings.luser_relay = config.text("luser_relay");
    settings.default_user = config.text("default_privs");
    settings.files_in_aliases = lists(config, "allow_mail_to_files", "alias");
    settings.files_in_includes = lists(config, "allow_mail_to_files", "include");
    settings.max_idle = config.duration("max_idle");
    settings.worker_threads = static_cast<uint32_t>(config.number("mailbox_delivery_threads"));
    return settings;
}

} // namespace posthouse::local
