// Mandate: what one worker may do, settled by the spawner before it forks the worker, from its own look at
// the user database and the configuration. The router cannot widen it later: the worker holds every job
// against it.
#pragma once

#include "local/mailbox_job.h"

#include <cstdint>
#include <string>

namespace posthouse::local {

class Mandate {
public:
    enum class Kind : unsigned char {
        Mailbox, // one mailbox: `path`, with a slash at the end when it is a Maildir
        Files,   // files and Maildirs named in aliases(5), as default_privs
        Below,   // mailboxes below the directory `path`
    };
    Mandate() = default;
    Mandate(Kind its_kind, uint32_t its_uid, uint32_t its_gid, std::string its_path)
        : kind(its_kind), uid(its_uid), gid(its_gid), path(std::move(its_path))
    {
    }
    // Why the job is none of this; nullptr when it may be done. Looks at names alone: what links lead to
    // is opened with the rights of `uid`.
    const char* refusal(const MailboxJob& job) const;

    Kind kind = Kind::Mailbox;
    uint32_t uid = 0;
    uint32_t gid = 0;
    std::string path;
};

} // namespace posthouse::local
