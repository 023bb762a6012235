// Reading the parameters: see settings.h.
#include "local/settings.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"

#include <algorithm>

namespace posthouse::local {

namespace {
Result<uint8_t> parse_locks(const config::Config& config, const char* parameter)
{
    uint8_t locks = 0;
    for (const std::string& word : config.list(parameter)) {
        if (word == "fcntl")
            locks |= MailboxRules::LockFcntl;
        else if (word == "flock")
            locks |= MailboxRules::LockFlock;
        else if (word == "dotlock")
            locks |= MailboxRules::LockDotfile;
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

// The id that a single static: table gives to all.
std::optional<uint32_t> static_id(const config::Config& config, const char* parameter)
{
    constexpr std::string_view prefix = "static:";
    const auto tables = config.list(parameter);
    if (tables.size() != 1 || !tables.front().starts_with(prefix))
        return std::nullopt;
    const auto id = ascii::parse_unsigned(std::string_view(tables.front()).substr(prefix.size()));
    if (!id || *id >= UINT32_MAX)
        return std::nullopt;
    return static_cast<uint32_t>(*id);
}
} // namespace

Result<Settings> Settings::from_config(const config::Config& config, Mode mode)
{
    Settings settings;
    settings.mode = mode;
    settings.host_name = config.text("myhostname");
    settings.rules.host_name = settings.host_name;
    settings.mail_name = config.text("mail_name");
    settings.origin = config.text("myorigin");
    settings.delimiters = config.text("recipient_delimiter");
    settings.home_mailbox = config.text("home_mailbox");
    settings.spool_directory = config.text("mail_spool_directory");
    const bool is_local = mode == Mode::Local;
    settings.rules.size_limit =
        static_cast<uint64_t>(config.number(is_local ? "mailbox_size_limit" : "virtual_mailbox_limit"));
    auto locks = parse_locks(config, is_local ? "mailbox_delivery_lock" : "virtual_mailbox_lock");
    if (!locks)
        return std::move(locks.error());
    settings.rules.locks = *locks;
    settings.lock_attempts = static_cast<uint32_t>(config.number("deliver_lock_attempts"));
    settings.lock_delay = config.duration("deliver_lock_delay");
    settings.rules.stale_lock_seconds = static_cast<uint32_t>(config.duration("stale_lock_time").whole_seconds());
    settings.rules.strict_ownership = config.boolean("strict_mailbox_ownership");
    settings.virtual_base = config.text("virtual_mailbox_base");
    while (settings.virtual_base.ends_with('/'))
        settings.virtual_base.pop_back();
    settings.only_uid = static_id(config, "virtual_uid_maps");
    settings.only_gid = static_id(config, "virtual_gid_maps");
    settings.minimum_uid = static_cast<uint32_t>(config.number("virtual_minimum_uid"));
    settings.luser_relay = config.text("luser_relay");
    settings.default_user = config.text("default_privs");
    settings.mark_files = !is_local || lists(config, "prepend_delivered_header", "file");
    settings.mark_forwards = lists(config, "prepend_delivered_header", "forward");
    settings.wants_home = config.boolean("require_home_directory");
    settings.files_in_aliases = lists(config, "allow_mail_to_files", "alias");
    settings.files_in_includes = lists(config, "allow_mail_to_files", "include");
    settings.max_idle = config.duration("max_idle");
    settings.worker_threads = static_cast<uint32_t>(config.number("mailbox_delivery_threads"));
    return settings;
}

} // namespace posthouse::local
