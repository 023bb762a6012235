// The parameters of local and virtual, copied once at start.
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/config/config.h"
#include "local/mailbox_job.h"

#include <cstdint>
#include <optional>
#include <string>

namespace posthouse::local {

enum class Mode : unsigned char { Local, Virtual };

class Settings {
public:
    static Result<Settings> from_config(const config::Config& config, Mode mode);

    Mode mode = Mode::Local;
    std::string host_name;
    std::string mail_name;
    std::string origin;     // myorigin: for alias targets without a domain
    std::string delimiters; // recipient_delimiter
    // Mailboxes.
    std::string home_mailbox;
    std::string spool_directory;
    MailboxRules rules;
    uint32_t lock_attempts = 20;
    Duration lock_delay = Duration::seconds(1);
    // Virtual mailboxes.
    std::string virtual_base; // no slash at its end
    uint32_t minimum_uid = 100;
    std::optional<uint32_t> only_uid; // virtual_uid_maps gives every mailbox this one
    std::optional<uint32_t> only_gid;
    // Aliases.
    std::string luser_relay;
    std::string default_user; // default_privs
    bool mark_files = true;    // prepend_delivered_header: Delivered-To: in mailboxes and files,
    bool mark_forwards = true; // and in what is forwarded
    bool wants_home = false;   // require_home_directory
    bool files_in_aliases = true;
    bool files_in_includes = false;
    // Workers.
    Duration max_idle = Duration::seconds(100);
    uint32_t worker_threads = 20;
};

} // namespace posthouse::local
