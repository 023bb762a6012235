// Puts one message into one mailbox, by a worker: fills in the job and turns its result into an Outcome.
#pragma once

#include "local/outcome.h"
#include "local/settings.h"
#include "local/worker_pool.h"

#include <string>

namespace posthouse::local {

class MailboxDelivery {
public:
    MailboxDelivery(const Settings& settings, WorkerPool& workers) : settings_(settings), workers_(workers) {}

    // A path that ends in a slash is a Maildir. For a file named in an alias, `account` is that of_files().
    Task<Outcome> deliver(const queue::DeliveryRequest& request, size_t position, Account account, std::string path);
    WorkerPool& workers() { return workers_; }

private:
    Task<Result<MailboxResult>> deliver_when_unlocked(Account account, MailboxJob job, int message);
    const Settings& settings_;
    WorkerPool& workers_;
};

// The fields that a final delivery adds, each line ended by LF.
std::string delivery_headers(const std::string& sender, const mail::Recipient& recipient, bool mark = true);

} // namespace posthouse::local
