// ContentSender: a message's content over a session, after 354: read from the queue file piece by piece,
// converted when the host does not take 8-bit content, dots stuffed, long lines folded. The final dot is
// queued at the end and leaves with the wait for its reply; it is never sent for a message that could not
// be read as it was taken in.
#pragma once

#include "lib/event/task.h"
#include "lib/event/thread_pool.h"
#include "lib/mail/seven_bit.h"
#include "lib/queue/content_reader.h"
#include "lib/queue/delivery_protocol.h"
#include "lib/smtp/data_writer.h"
#include "smtp/session.h"
#include "smtp/settings.h"
#include "smtp/trouble.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace posthouse::smtp_client {

// Whether 8-bit parts have to become quoted-printable for this host (RFC 6152 section 3).
bool needs_conversion(const queue::DeliveryRequest& request, const Features& features, const Settings& settings);

class ContentSender {
public:
    // `pool`: for what has to come from the disk.
    ContentSender(Session& session, const Settings& settings, const queue::DeliveryRequest& request, ThreadPool& pool);

    enum class Fault : unsigned char { None, Connection, Message };
    // Which of the two a trouble is about: the message's file, or the connection.
    Fault fault() const { return fault_; }
    // All but the final dot's reply, or what went wrong: then the session is of no use any more.
    Task<std::optional<Trouble>> run();

private:
    class FromDisk;
    Task<Result<std::string_view>> next_from_disk(size_t size);
    Task<std::optional<Trouble>> queue_small();
    Task<std::optional<Trouble>> send_large();
    Task<Result<void>> send_piece(std::string_view piece, Deadline deadline);
    bool goes_verbatim() const { return !converter_ && writer_.verbatim(); }
    void transform(std::string_view piece, std::string& out);
    void finish(std::string& out);
    Deadline piece_deadline(Instant began, uint64_t bytes) const;
    Trouble unreadable(const Error& error);
    Trouble lost(const Error& error);

    Session& session_;
    const Settings& settings_;
    const queue::DeliveryRequest& request_;
    ThreadPool& pool_;
    queue::ContentReader reader_;
    std::shared_ptr<FromDisk> from_disk_; // owners: this, and the work in the pool; none while all is in memory
    std::optional<mail::SevenBitConverter> converter_;
    smtp::DataWriter writer_;
    std::string converted_;
    Fault fault_ = Fault::None;
};

} // namespace posthouse::smtp_client
