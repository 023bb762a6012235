// The results of one delivery, see results.h: transaction.cc settles recipients, delivery.cc those that nobody took.
#include "smtp/results.h"

#include "lib/base/cat.h"
#include "lib/queue/log_outcome.h"

namespace posthouse::smtp_client {

namespace {
int64_t microseconds(Duration d) { return d.ns() / 1000; }
} // namespace

Results::Results(Loop& loop, const queue::DeliveryRequest& request)
    : loop_(loop), request_(request), recipients_(request.envelope.recipients.size()),
      open_count_(recipients_.size()), search_began_(Instant::now())
{
}

std::vector<size_t> Results::open_positions() const
{
    std::vector<size_t> positions;
    positions.reserve(open_count_);
    for (size_t i = 0; i < recipients_.size(); ++i)
        if (recipients_[i].open)
            positions.push_back(i);
    return positions;
}

void Results::session_ready()
{
    connect_us_ = microseconds(Instant::now() - search_began_);
}

void Results::transaction_begins()
{
    transaction_began_ = Instant::now();
}

void Results::settle(size_t position, queue::RecipientOutcome outcome)
{
    outcome.connect_us = connect_us_;
    if (transaction_began_ != Instant())
        outcome.transmit_us = microseconds(Instant::now() - transaction_began_);
    recipients_[position].open = false;
    --open_count_;
    queue::log_outcome(request_, position, outcome);
    new_.push_back(std::move(outcome));
}

void Results::delivered(size_t position, const smtp::Reply& reply, queue::DeliveryAction action, bool dsn_passed_on)
{
    const std::string_view dsn = reply.dsn.starts_with('2') ? std::string_view(reply.dsn) : std::string_view("2.0.0");
    queue::RecipientOutcome outcome(request_.serial, request_.indexes[position], queue::DeliveryStatus::Delivered,
                                    std::string(dsn), reply.to_text());
    outcome.action = action;
    outcome.dsn_passed_on = dsn_passed_on;
    outcome.relay = relay_;
    settle(position, std::move(outcome));
}

void Results::failed(size_t position, const Trouble& trouble)
{
    note(position, trouble);
    Recipient& recipient = recipients_[position];
    queue::RecipientOutcome outcome(request_.serial, request_.indexes[position],
                                    trouble.permanent ? queue::DeliveryStatus::Failed : queue::DeliveryStatus::Deferred,
                                    recipient.trouble.dsn, recipient.trouble.text);
    outcome.relay = recipient.relay;
    outcome.remote_mta = recipient.trouble.remote_mta;
    outcome.diagnostic = recipient.trouble.diagnostic;
    settle(position, std::move(outcome));
}

void Results::note(size_t position, const Trouble& trouble)
{
    Recipient& recipient = recipients_[position];
    if (&recipient.trouble != &trouble) {
        recipient.trouble = trouble;
        recipient.relay = relay_;
    }
}

void Results::note_all(const Trouble& trouble)
{
    for (size_t i = 0; i < recipients_.size(); ++i)
        if (recipients_[i].open)
            note(i, trouble);
}

void Results::finish()
{
    for (size_t i = 0; i < recipients_.size(); ++i)
        if (recipients_[i].open) {
            if (recipients_[i].trouble.empty())
                note(i, Trouble(false, "4.4.1", "no host could be tried"));
            failed(i, recipients_[i].trouble);
        }
}

void Results::finish_put_off()
{
    for (size_t i = 0; i < recipients_.size(); ++i)
        if (recipients_[i].open && !recipients_[i].trouble.empty() && !recipients_[i].trouble.permanent)
            failed(i, recipients_[i].trouble);
}

std::vector<queue::RecipientOutcome> Results::take_new()
{
    return std::exchange(new_, std::vector<queue::RecipientOutcome>());
}

} // namespace posthouse::smtp_client
