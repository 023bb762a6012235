// What the router part of local tells a worker, and what the worker says: one delivery into one mailbox
// or file, and its result. Both directions of the messages between the two are here; the message's
// descriptor travels beside the job. How mailboxes are to be treated is not among it: a worker has its
// rules from the configuration, by way of the spawner.
#pragma once

#include "lib/base/result.h"
#include "lib/queue/content_info.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace posthouse::local {

class MailboxRules {
public:
    enum Lock : uint8_t { LockFcntl = 1, LockDotfile = 2, LockFlock = 4 };
    MailboxRules() = default;

    std::string host_name;   // part of a Maildir file's name
    uint64_t size_limit = 0; // of an mbox, or of one Maildir file; 0: none
    uint8_t locks = 0;
    uint32_t stale_lock_seconds = 500;
    bool strict_ownership = true; // the mailbox must belong to the recipient
};

class MailboxJob {
public:
    enum class Kind : uint8_t { Maildir = 1, Mbox = 2, File = 3 };

    MailboxJob() = default;
    std::string encode() const;
    static Result<MailboxJob> decode(std::string_view bytes);
    // Sets kind and path: one that ends in a slash is a Maildir. Not for files of aliases.
    void aim_at(std::string destination);

    Kind kind = Kind::Maildir;
    std::string path;      // of the Maildir or the file
    std::string headers;   // Return-Path:, X-Original-To:, Delivered-To:, each line ended by LF
    std::string sender;    // for the "From " line of an mbox; "" is the null sender
    queue::ContentInfo content; // its facts about lines do not travel
};

class MailboxResult {
public:
    // Locked: somebody else has the mailbox now. The router tries again later, so that no thread waits.
    enum class Status : uint8_t { Delivered = 1, Deferred = 2, Failed = 3, Locked = 4 };

    MailboxResult() = default;
    MailboxResult(Status its_status, std::string its_dsn, std::string its_text)
        : status(its_status), dsn(std::move(its_dsn)), text(std::move(its_text))
    {
    }
    std::string encode() const;
    static Result<MailboxResult> decode(std::string_view bytes);

    Status status = Status::Deferred;
    std::string dsn;
    std::string text;
};

} // namespace posthouse::local
