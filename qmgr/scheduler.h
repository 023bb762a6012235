// Scheduler: the main flow of qmgr. A message's whole active life is one coroutine, process(): its
// recipients are routed and handed to transports, their outcomes come back, and then the message is
// done, bounced, or put to wait. Around it: who gets into the bounded active set, and what the operator
// wants. Policy is in the parts beside this file; files are lib/queue's.
//
// Memory is bounded by active_limit and recipient_limit; whatever is above waits in the index. New mail
// goes before waiting mail, which may never fill the active set alone.
#pragma once

#include "lib/event/loop.h"
#include "lib/event/task_group.h"
#include "lib/queue/control_protocol.h"
#include "lib/queue/slot_pool.h"
#include "qmgr/listing.h"
#include "qmgr/message.h"
#include "qmgr/notice_rules.h"
#include "qmgr/route_finder.h"
#include "qmgr/settings.h"
#include "qmgr/transport.h"
#include "qmgr/waiting_index.h"

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace posthouse::qmgr {

// Writes notices into the queue. Pure interface, for tests.
class NoticeSender {
public:
    virtual ~NoticeSender() = default;
    // About these recipients of the message, to whom it concerns. Durable on success, also when by the
    // rules nobody is told.
    virtual Task<Result<void>> send(NoticeKind kind, const Message& message,
                                    std::vector<queue::RecipientOutcome> outcomes) = 0;
    // The same content again under a new id, for these recipients.
    virtual Task<Result<std::string>> requeue(const Message& message) = 0;
};

class Placement;
class ProbeDesk;
class Placements;

// A delivery that is over with recipients left, and why.
class GivenBack {
public:
    GivenBack(std::unique_ptr<Delivery> the_delivery, std::string its_dsn, std::string its_text)
        : delivery(std::move(the_delivery)), dsn(std::move(its_dsn)), text(std::move(its_text))
    {
    }
    std::unique_ptr<Delivery> delivery; // its destination may be gone
    std::string dsn;
    std::string text;
};

// What the file knows of recipients whose sender is still to be told of their delivery: without what the host said.
std::vector<queue::RecipientOutcome> still_untold(const Message& message);

class SchedulerCounters {
public:
    SchedulerCounters() = default;
    uint64_t accepted = 0;
    uint64_t removed = 0;
    uint64_t delivered = 0; // recipients, as the next
    uint64_t deferred = 0;
    uint64_t failed = 0;
};

class Scheduler final : public queue::QueueListener, private DeliveryOwner {
public:
    Scheduler(Loop& loop, const Settings& settings, RouteFinder& routes, ProbeDesk& probes, WaitingIndex& index);
    ~Scheduler() override;

    // The pool calls this object, so it is made later; both outlive the scheduler's tasks. Then begin.
    void attach(queue::SlotPool& pool, NoticeSender& notices);
    void scan_ended();
    bool scanning() const { return scanning_; } // what is in the queue is not known whole yet

    void settings_changed(); // after a reload: the Settings object has new values
    void pause();         // starts no delivery any more
    bool quiet() const;   // no delivery runs, no message is being concluded
    void leave_in_order(); // the index gets what is active; last call

    // ---- the operator's wishes (listing.cc, operator.cc)
    // Appends the next entries of the listing, if any in this piece of it; false when it is over.
    bool list_some(const queue::ControlList& filter, ListPosition& at, std::vector<queue::ListEntry>& entries) const;
    bool flush_id(const std::string& id);
    void flush_transports();
    // One piece of a flush of everything, or of a site; false when there is no more.
    bool flush_some(const std::string& site, uint64_t& after, uint64_t& count);
    // True when the message exists (in `queues`) and the action applies to it.
    bool act(queue::Action action, const std::string& id, uint8_t queues);
    // Ids of up to some hundred messages after `after` that arrived before that time; active ones first, in one piece,
    // when it is 0.
    std::vector<std::string> ids_after(uint64_t& after, int64_t before_us, bool& ended) const;
    std::vector<std::string> status() const;

    // ---- queue::QueueListener
    void message_found(queue::StoredMessage message, queue::Arrival how) override;
    void message_damaged(uint64_t number, const std::string& id) override;

private:
    // Admission.
    size_t weight(size_t recipients) const;
    bool has_room(size_t recipients) const;
    size_t room_for_waiting() const;
    void note_scanned(const queue::StoredMessage& message);
    bool drop_surplus_probe(const queue::StoredMessage& message);
    bool was_requeued(uint64_t number, const std::string& id, const std::string& successor);
    void put_record(const WaitingMessage& record);
    void admit_soon();
    void admit_due();
    void load(uint64_t number); // from its file into the active set
    Task<void> activate_waiting(uint64_t number);
    void try_later(uint64_t number, std::optional<WaitingMessage> record);
    void begin(queue::StoredMessage stored, const WaitingMessage* record, const Orders& orders);

    // A message's way (scheduler.cc), placement (placement.cc), results (results.cc).
    Task<void> process(Message& message);
    Task<void> hand_out(Message& message);
    void settle_expanded(Message& message, uint32_t index);
    void place(Message& message, uint32_t index, const queue::Route& route, Placements& placements);
    Task<void> hand_out_one(Message& message, uint32_t index, Placements& placements);
    void deliver_by(Message& message, uint32_t index, const queue::Route& route, Transport& its_transport,
                    Placements& placements);
    void hand_to_transport(Message& message, Placement& placement);
    Transport& transport(const std::string& name);
    Task<void> conclude(Message& message);
    Task<void> tell_success(Message& message);
    Task<void> tell_failure(Message& message);
    Task<void> requeue(Message& message);
    Task<void> warn_sender(Message& message);
    void expire_when_old(Message& message, int64_t now_us);
    void put_to_wait(Message& message, int64_t now_us);
    void retire(Message& message);
    void settle(Message& message, queue::RecipientOutcome outcome);
    void settle_here(Message& message, queue::RecipientOutcome outcome); // and log it

    Result<queue::DeliveryRequest> request_for(const Delivery& delivery) override;
    void recipient_answered(Delivery& delivery, queue::RecipientOutcome outcome) override;
    void delivery_over(std::unique_ptr<Delivery> delivery, const std::string& dsn, const std::string& text) override;
    Task<void> defer_given_back();

    bool act_on_active(queue::Action action, Message& message);
    bool act_on_loading(queue::Action action, const WaitingMessage& record, Orders& orders);
    void write_order(queue::Action action, uint64_t number, const std::string& id, std::vector<uint32_t> pending);
    Task<void> mark_deleted(uint64_t number, std::string id, std::vector<uint32_t> pending);
    bool act_on_waiting(queue::Action action, WaitingMessage record);
    bool expire_waiting(queue::Action action, WaitingMessage record);
    static bool note_order(queue::Action action, Orders& orders);
    void make_due(WaitingMessage record);
    bool list_active(const queue::ControlList& filter, ListPosition& at, std::vector<queue::ListEntry>& entries) const;
    bool list_waiting(const queue::ControlList& filter, ListPosition& at, std::vector<queue::ListEntry>& entries) const;
    queue::ListEntry piece_of(const Message& message, uint32_t& next) const;

    Loop& loop_;
    const Settings& settings_;
    RouteFinder& routes_;
    ProbeDesk& probes_;
    WaitingIndex& index_;
    queue::SlotPool* pool_ = nullptr;
    NoticeSender* notices_ = nullptr;
    SchedulerCounters counters_;
    std::map<std::string, std::unique_ptr<Transport>> transports_;
    std::unordered_map<uint64_t, std::unique_ptr<Message>> active_;
    std::unordered_map<uint64_t, Orders> loading_; // on their way from the index to the active set
    std::vector<uint64_t> scanned_;
    class Requeued { // perhaps: when the scan finds the other as well
    public:
        Requeued(uint64_t its_number, std::string its_id, std::string its_successor)
            : number(its_number), id(std::move(its_id)), successor(std::move(its_successor))
        {
        }
        uint64_t number;
        std::string id;
        std::string successor;
    };
    std::vector<Requeued> requeued_;
    std::deque<GivenBack> given_back_; // a dead destination gives back thousands at once
    bool deferring_ = false;
    size_t recipients_in_core_ = 0;
    int64_t next_due_us_ = 0; // not later than what is due first: spares the index a question
    int64_t started_us_;
    bool scanning_ = true;
    bool paused_ = false;
    Timer due_timer_;
    TaskGroup tasks_;
};

} // namespace posthouse::qmgr
