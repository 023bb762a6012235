// Delivery into an mbox, or a file named in aliases(5): appended under locks, synced, and cut back to its
// old length when anything fails. Blocking; runs as the mailbox's owner.
#pragma once

#include "local/mailbox_job.h"

namespace posthouse::local {

MailboxResult deliver_to_mbox(const MailboxJob& job, const MailboxRules& rules, int message);

} // namespace posthouse::local
