// Holding a job against a mandate: see mandate.h.
#include "local/mandate.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"

namespace posthouse::local {

namespace {

bool goes_up(std::string_view path)
{
    for (const std::string_view part : ascii::split(path, "/"))
        if (part == "..")
            return true;
    return false;
}

bool is_below(std::string_view path, std::string_view directory)
{
    return path.size() > directory.size() + 1 && path.starts_with(directory) && path[directory.size()] == '/';
}

} // namespace

const char* Mandate::refusal(const MailboxJob& job) const
{
    MailboxJob own;
    bool covered = false;
    switch (kind) {
    case Kind::Mailbox:
        own.aim_at(path);
        covered = job.kind == own.kind && job.path == own.path;
        return covered ? nullptr : "this is not the user's mailbox";
    case Kind::Files:
        covered = job.kind != MailboxJob::Kind::Mbox && job.path.starts_with('/') && !goes_up(job.path);
        return covered ? nullptr : "this is no file for an alias";
    case Kind::Below:
        break;
    }
    covered = job.kind != MailboxJob::Kind::File && is_below(job.path, path) && !goes_up(job.path);
    return covered ? nullptr : "this is not below virtual_mailbox_base";
}

} // namespace posthouse::local
