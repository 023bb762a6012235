// TicketKeys: the keys of session tickets. All processes of a service have the same ones without asking each other, so
// that a client may go on with its session at any of them; and a new one comes each period.
//
// A chain of secrets, one for each period, each the hash of the one before: from today's, tomorrow's follows, but never
// yesterday's. A process holds the secret of the next period, and the keys of this one and the one before it (for
// tickets that were given out then). The file holds the chain as far as it had come when a process last started; it
// belongs to who starts the processes, and those who serve cannot read it.
#pragma once

#include "lib/base/result.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace posthouse::tls {

class TicketKeys {
public:
    static constexpr size_t name_size = 16;
    static constexpr size_t secret_size = 32;
    struct Key {
        std::array<unsigned char, name_size> name; // at the front of each ticket
        std::array<unsigned char, secret_size> cipher;
        std::array<unsigned char, secret_size> mac;
    };
    enum class Age : unsigned char { Current, Previous };

    // The chain in `path`, made when it is not there, or is none that can be trusted. `period` in seconds, a minute at
    // least; `now` is
    // wall-clock time in seconds. To be called before privileges drop.
    static Result<std::unique_ptr<TicketKeys>> open(const std::string& path, int64_t period, int64_t now);
    // For this process alone.
    static std::unique_ptr<TicketKeys> unshared(int64_t period, int64_t now);
    ~TicketKeys();
    TicketKeys(const TicketKeys&) = delete;
    TicketKeys& operator=(const TicketKeys&) = delete;

    // The key for new tickets. Valid until the next call.
    const Key& current(int64_t now);
    // The key with this name (name_size bytes), or null when it is too old, or was never ours.
    const Key* find(const unsigned char* name, int64_t now, Age& age);

private:
    using Secret = std::array<unsigned char, secret_size>;
    TicketKeys(int64_t period, int64_t epoch, const Secret& secret); // that of the epoch
    void advance(int64_t now);
    void step();

    int64_t period_;
    int64_t epoch_; // of current_
    Secret chain_;  // of the epoch after epoch_
    Key current_;
    Key previous_;
};

} // namespace posthouse::tls
