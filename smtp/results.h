// Results: what has become of each recipient of one delivery. A recipient is open until it is settled;
// what went wrong with an open one is kept, in case no other host does better. Each is logged when settled.
#pragma once

#include "lib/event/loop.h"
#include "lib/queue/delivery_protocol.h"
#include "smtp/trouble.h"

#include <cstddef>
#include <string>
#include <vector>

namespace posthouse::smtp_client {

class Results {
public:
    Results(Loop& loop, const queue::DeliveryRequest& request);

    bool open(size_t position) const { return recipients_[position].open; }
    bool all_settled() const { return open_count_ == 0; }
    std::vector<size_t> open_positions() const;

    // For delays= in the log: a new session is ready; a transaction begins.
    void session_ready();
    void transaction_begins();
    // For relay=: "mx.example.com[192.0.2.1]:25"; "none" until a host was reached.
    void use_relay(std::string relay) { relay_ = std::move(relay); }

    void delivered(size_t position, const smtp::Reply& reply, queue::DeliveryAction action, bool dsn_passed_on);
    void failed(size_t position, const Trouble& trouble); // settled, for good or until the next try
    void note(size_t position, const Trouble& trouble);   // stays open
    void note_all(const Trouble& trouble);
    // Settles all that is open by what was noted.
    void finish();
    // The same for those that a host has put off; one that was not tried, or that another host may take, stays open.
    void finish_put_off();

    // Outcomes settled since the last call.
    std::vector<queue::RecipientOutcome> take_new();

    bool sending = false;  // from the host's go-ahead for the content to its last answer
    bool given_up = false; // from now on no content is begun and no host tried

    // The last trouble with a host as a whole; empty when a session went well.
    Trouble site;

private:
    struct Recipient {
        bool open = true;
        Trouble trouble;
        std::string relay = "none"; // where that trouble was met
    };
    void settle(size_t position, queue::RecipientOutcome outcome);

    Loop& loop_;
    const queue::DeliveryRequest& request_;
    std::vector<Recipient> recipients_;
    size_t open_count_;
    std::string relay_ = "none";
    Instant search_began_;
    Instant transaction_began_;
    int64_t connect_us_ = 0;
    std::vector<queue::RecipientOutcome> new_;
};

} // namespace posthouse::smtp_client
