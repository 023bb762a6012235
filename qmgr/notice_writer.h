// NoticeWriter: composes bounces, delay warnings and success reports about a message and puts them into
// the queue, and puts a message into the queue again under a new id. The content that is returned comes
// from the message's file; what is new goes the way of all mail, through Intake.
#pragma once

#include "lib/event/thread_pool.h"
#include "lib/mail/dsn.h"
#include "lib/queue/intake.h"
#include "lib/queue/slot_pool.h"
#include "qmgr/scheduler.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace posthouse::qmgr {

class NoticeWriter final : public NoticeSender {
public:
    // What it is given outlives it. Tables: see open_tables.
    NoticeWriter(ThreadPool& threads, queue::SlotPool& pool, const Settings& settings);

    // Before use, and again after a reload. On an Error the old tables stay in use. The configuration must
    // stay until the next call.
    Result<void> open_tables(const config::Config& config, const table::Context& context);

    Task<Result<void>> send(NoticeKind kind, const Message& message,
                            std::vector<queue::RecipientOutcome> outcomes) override;
    Task<Result<std::string>> requeue(const Message& message) override;

private:
    Task<Result<std::string>> read_content(uint64_t number, uint64_t offset, uint64_t size);
    Task<Result<std::string>> store(mail::Report report, std::string sender, std::string recipient);
    Task<Result<void>> copy_to_postmaster(NoticeKind kind, const Message& message, mail::Report report);
    std::shared_ptr<queue::IntakeTables> tables();
    mail::Report report_on(NoticeKind kind, const Message& message) const;

    ThreadPool& threads_;
    queue::SlotPool& pool_;
    const Settings& settings_;
    const config::Config* config_ = nullptr;
    std::optional<table::Context> context_;
    std::shared_ptr<queue::IntakeTables> tables_; // owners: this, and the notices that began with it
};

} // namespace posthouse::qmgr
