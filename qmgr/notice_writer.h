// NoticeWriter: composes bounces, delay warnings and success reports about a message and puts them into
// the queue, and puts a message into the queue again under a new id. The content that is returned comes
// from the message's file; what is new goes the way of all mail, through Intake.
#pragma once

#include "lib/event/thread_pool.h"
#include "lib/mail/dsn.h"
#include "lib/queue/intake.h"
#include "lib/queue/slot_pool.h"
#include "qmgr/scheduler.h"

#include <string>
#include <vector>

namespace posthouse::qmgr {

class NoticeWriter final : public NoticeSender {
public:
    // All of them outlive it.
    NoticeWriter(ThreadPool& threads, queue::SlotPool& pool, queue::IntakeTables& tables, const Settings& settings);

    Task<Result<void>> send(NoticeKind kind, const Message& message,
                            std::vector<queue::RecipientOutcome> outcomes) override;
    Task<Result<std::string>> requeue(const Message& message) override;

private:
    Task<Result<std::string>> read_content(uint64_t number, uint64_t offset, uint64_t size);
    Task<Result<std::string>> store(mail::Report report, std::string sender, std::string recipient);
    Task<Result<void>> copy_to_postmaster(NoticeKind kind, const Message& message, mail::Report report);
    mail::Report report_on(NoticeKind kind, const Message& message) const;

    ThreadPool& threads_;
    queue::SlotPool& pool_;
    queue::IntakeTables& tables_;
    const Settings& settings_;
};

} // namespace posthouse::qmgr
