// Delivery into a Maildir, durable when it returns: the message is written and synced in tmp/, renamed
// into new/, and new/ is synced. Deliveries into the same Maildir at the same time share the sync of the
// directory. Blocking and safe for several threads; runs as the mailbox's owner.
//
// A file's name is <seconds>.M<microseconds>P<process>Q<count>.<host>,S=<size>,W=<size in wire form>.
#pragma once

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"
#include "local/mailbox_job.h"

#include <condition_variable>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <sys/types.h>

namespace posthouse::local {

// Threads that want the same directory synced do it once for all who came before it began.
class SharedSync {
public:
    int sync(int fd); // 0 or an errno

private:
    struct Round {
        bool done = false;
        int error = 0;
    };
    std::mutex mutex_;
    std::condition_variable changed_;
    bool running_ = false;
    std::shared_ptr<Round> next_ = std::make_shared<Round>(); // owners: this and the threads in it
};

// Maildirs in use, with their directories kept open: one for each worker process.
class MaildirSet {
public:
    explicit MaildirSet(size_t most = 100) : most_(most) {}
    MailboxResult deliver(const MailboxJob& job, const MailboxRules& rules, int message);

private:
    struct Maildir {
        std::string path;
        UniqueFd tmp;
        UniqueFd fresh; // new/
        dev_t device = 0;
        ino_t inode = 0;
        SharedSync sync;
    };
    using MaildirRef = std::shared_ptr<Maildir>; // owners: the set, and the deliveries under way
    Result<MaildirRef> open(const std::string& path);
    Result<void> open_directories(Maildir& maildir);

    size_t most_;
    std::mutex mutex_;
    std::list<MaildirRef> by_use_; // most recent first
};

} // namespace posthouse::local
