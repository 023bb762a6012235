// NAME
//     virtual - deliver mail to mailboxes without accounts
// SYNOPSIS
//     virtual [generic options of master(8)'s children]
// DESCRIPTION
//     virtual takes delivery requests from qmgr(8). A recipient is looked up in virtual_mailbox_maps as
//     user+extension@domain, user@domain and @domain; what is found is the mailbox's path below
//     virtual_mailbox_base, a Maildir when it ends in a slash, else an mbox. virtual_uid_maps and
//     virtual_gid_maps say, by the same search, who owns the mailbox.
//
//     Neither aliases nor users of this host are looked at. Mailboxes are written as local(8) does.
// SECURITY
//     The same three kinds of processes as local(8). The one that keeps root starts workers with the ids of
//     static: tables; where other tables give them, with none below virtual_minimum_uid, unless the gid is
//     that of the uid's user in the user database; never with those of root. A worker writes below
//     virtual_mailbox_base only, and refuses a path with "..". A symbolic link leads where the worker's uid
//     may write.
// DIAGNOSTICS
//     One line for each recipient is logged. A recipient without path is returned; one without usable uid
//     or gid waits in the queue.
// SEE ALSO
//     local(8), qmgr(8)
#include "local/agent.h"

namespace {
constexpr posthouse::service::Spec spec = {
    .program = "virtual",
    .chroot_ok = false,
    .single_connection = true,
    .delivers = true,
    .sandbox = {.files = true},
};
} // namespace

int main(int argc, char** argv)
{
    return posthouse::service::run(argc, argv, spec, []() -> std::unique_ptr<posthouse::service::Program> {
        return std::make_unique<posthouse::local::AgentProgram>(posthouse::local::Mode::Virtual);
    });
}
