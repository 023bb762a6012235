// NAME
//     local - deliver mail to the users of this host
// SYNOPSIS
//     local [generic options of master(8)'s children]
// DESCRIPTION
//     local takes delivery requests from qmgr(8). A recipient's name is looked up in alias_maps, with its
//     address extension and without; what is no alias must be a user of this host, into whose mailbox the
//     message goes: home_mailbox below the home directory, or a file in mail_spool_directory. A name that
//     ends in a slash is a Maildir, any other an mbox.
//
//     An alias may stand for users, addresses elsewhere, files, and :include: files with more of them.
//     An alias with one end here is followed at once; any other becomes a new message with a recipient for
//     each end, so that each has its own fate. There a name behind a backslash is that user's mailbox without
//     its alias, and "ALIAS:/FILE" a file that ALIAS leads to. When owner-NAME is an alias too, it becomes the sender,
//     and gets what is returned. A message that has been delivered to the recipient before, by its
//     Delivered-To: fields, is returned as a loop.
//
//     In Maildirs the file is synced before it appears in new/, and new/ afterwards. An mbox is locked as
//     mailbox_delivery_lock says, synced, and cut back to its old length when it cannot be written in full.
//     Content that does not agree with the checksum taken when it came in is not delivered.
// SECURITY
//     Started as root, local consists of three kinds of processes. The spawner keeps root; it looks users
//     up and forks, and sees neither messages nor addresses. The router runs as mail_owner, speaks to
//     qmgr, reads aliases. A worker has become the recipient and opens mailboxes; one worker serves all
//     mail for its user and leaves when idle. The spawner trusts no word of the router's: it decides itself
//     where a user's mailbox is, and a worker writes into that one only. Files named by aliases are for a
//     worker that is default_privs. Nothing is delivered with the uid or gid of root: root must be an alias.
//     Mailboxes that are no plain files, have several names, are symbolic links or belong to somebody else
//     are refused. Requests are taken from qmgr alone.
//
//     Started by an ordinary user, it delivers to that user only.
// DIAGNOSTICS
//     One line for each recipient is logged. Where a mailbox is full, locked or misplaced, mail is kept in
//     the queue.
// BUGS
//     Commands as alias targets and .forward files are not supported; mail for the former waits in the queue.
// SEE ALSO
//     aliases(5), qmgr(8), virtual(8), newaliases(1)
#include "local/agent.h"

namespace {
constexpr posthouse::service::Spec spec = {
    .program = "local",
    .chroot_ok = false,
    .single_connection = true,
    .delivers = true,
    .sandbox = {.files = true},
};
} // namespace

int main(int argc, char** argv)
{
    return posthouse::service::run(argc, argv, spec, []() -> std::unique_ptr<posthouse::service::Program> {
        return std::make_unique<posthouse::local::AgentProgram>(posthouse::local::Mode::Local);
    });
}
