// Questions of local's router to the spawner, and its answers: packets on a socket between the two, each
// after a serial number. A request says for whom, never what: what a worker may do is the spawner's affair.
#pragma once

#include "lib/base/result.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace posthouse::local {

class SpawnRequest {
public:
    enum class Kind : uint8_t {
        FindUser = 1,   // is there such a user, and where is the mailbox
        StartUser = 2,  // a worker for this user's mailbox
        StartFiles = 3, // a worker for files named in aliases(5)
        StartIds = 4,   // a worker for virtual mailboxes with these ids
    };
    SpawnRequest() = default;
    SpawnRequest(Kind its_kind, std::string its_name) : kind(its_kind), name(std::move(its_name)) {}
    std::string encode() const;
    static Result<SpawnRequest> decode(std::string_view bytes);

    Kind kind = Kind::FindUser;
    std::string name; // of the user
    uint32_t uid = 0; // StartIds
    uint32_t gid = 0;
};

class SpawnReply {
public:
    enum class Status : uint8_t { Ok = 1, NoUser = 2, Refused = 3 };
    SpawnReply() = default;
    SpawnReply(Status its_status, std::string its_text) : status(its_status), text(std::move(its_text)) {}
    std::string encode() const;
    static Result<SpawnReply> decode(std::string_view bytes);

    Status status = Status::Refused;
    std::string text; // why not
    uint32_t uid = 0;
    uint32_t gid = 0;
    std::string mailbox; // of a user; a slash at its end: a Maildir
    // With a Start request that is Ok, the worker's socket comes beside the reply.
};

} // namespace posthouse::local
