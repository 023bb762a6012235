// WaitingIndex: what waits in the queue (deferred, held, or not yet looked at because the active set is
// full), in LMDB, so that neither mailq nor the search for due mail reads a million files. Messages that
// pass straight through never touch it.
//
// It is a cache of the queue files plus what is only told here: why each recipient waits. Nothing is
// lost with it but those texts. It is never synced; a commit survives the death of the process, not that
// of the machine. So it says of itself when it was left in order and in which boot; `open` drops a file
// that it cannot trust at all, and `state()` says how much of the rest to believe.
//
// Changes of one loop turn are one transaction, committed from the loop's top level. Views never leave
// this file: all that is returned is owned. Nothing here suspends.
#pragma once

#include "lib/base/result.h"
#include "lib/event/loop.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace posthouse::qmgr {

class WaitingRecipient {
public:
    WaitingRecipient() = default;
    uint32_t index = 0; // in the queue file
    std::string address;
    std::string original;
    std::string dsn;
    std::string reason;
    bool operator==(const WaitingRecipient&) const = default;
};

class WaitingMessage {
public:
    WaitingMessage() = default;
    uint64_t number = 0;
    std::string id;
    int64_t next_us = 0; // wall clock
    int64_t arrival_us = 0;
    uint64_t size = 0;
    bool held = false;
    bool forced_expire = false;
    bool warned = false;   // the delay warning was sent
    bool incoming = false; // never tried: goes before what was
    bool flushed = false;  // a person wants it now
    bool requeue = false;  // a person wants it under a new id
    std::string sender;
    std::vector<WaitingRecipient> recipients; // those not done
    bool operator==(const WaitingMessage&) const = default;
};

// Where a walk through all records is. One with many recipients is read in pieces.
class IndexCursor {
public:
    IndexCursor() = default;
    uint64_t number = 0; // the record read last
    bool within = false; // it has recipients that were not read yet
    std::string id;      // of that message: its number may have gone to another
    uint32_t recipients_read = 0;
    size_t offset = 0; // where the next one is, as long as the record has this size
    size_t record_size = 0;
};

class WaitingPiece {
public:
    WaitingPiece() = default;
    WaitingMessage message; // with some of its recipients
    bool continues = false; // the piece before was of this message
    bool more = false;      // so is the next
};

class WaitingIndex {
public:
    enum class State : unsigned char {
        Fresh,   // empty: every file has to be looked at
        Doubted, // its writer died: records are right as far as they go, times and completeness are not
        Clean,   // left in order
    };

    // `directory` must exist. A damaged index is removed and made anew.
    static Result<std::unique_ptr<WaitingIndex>> open(Loop& loop, const std::string& directory);
    ~WaitingIndex();
    WaitingIndex(const WaitingIndex&) = delete;
    WaitingIndex& operator=(const WaitingIndex&) = delete;

    State state() const;
    void close_in_order(); // everything is in it: the next start may believe it

    void put(const WaitingMessage& message); // replaces
    void put_head(const WaitingMessage& message); // replaces all but the recipients of the record that is there
    std::optional<WaitingMessage> get(uint64_t number);
    std::optional<WaitingMessage> head(uint64_t number); // without recipients: cheap, however many it has
    void erase(uint64_t number);

    // Due at that time, without a record: of a message that could not be noted. Until the process ends.
    void keep_in_mind(uint64_t number, int64_t next_us);

    // Takes it out of the due order, keeping the record: it is active now.
    void activate(uint64_t number);

    // Up to `limit` messages whose time has come, the longest waiting first. Held ones are never due. Those that are
    // `taken` come on top, as they are met: a commit that failed has brought them back, activate them again.
    std::vector<uint64_t> due(int64_t now_us, size_t limit, const std::function<bool(uint64_t)>& taken = nullptr);
    int64_t first_due_us(); // INT64_MAX when nothing waits

    // The next records after `after` (0 to begin: numbers start at 1) in order of number. Fewer than `limit`
    // when they are large; none at the end only.
    std::vector<WaitingMessage> list(uint64_t after, size_t limit);
    std::vector<WaitingMessage> heads(uint64_t after, size_t limit); // without recipients

    // The next piece of the walk, with recipients of about so many bytes; false at the end. A message that
    // has gone in the middle ends with an empty piece.
    bool next_piece(IndexCursor& cursor, size_t bytes, WaitingPiece& piece);
    uint64_t count();

private:
    WaitingIndex();
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace posthouse::qmgr
