// The spawner: the only part of local that keeps root. It looks users up and forks workers that become
// them; it never sees a message, an address or a path of a mailbox. The router (which runs as the mail
// owner) asks it over a socket of packets; both directions of these messages are here.
//
// It starts a worker for a user of the passwd database, or for numeric ids not below
// virtual_minimum_uid, and never for root.
#pragma once

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace posthouse::local {

class SpawnerSettings {
public:
    SpawnerSettings() = default;
    uint32_t minimum_uid = 100;  // virtual_minimum_uid
    std::string spool_directory; // mail_spool_directory
    size_t worker_threads = 20;
};

class SpawnRequest {
public:
    enum class Kind : uint8_t { FindUser = 1, StartUser = 2, StartIds = 3 };
    SpawnRequest() = default;
    SpawnRequest(Kind its_kind, std::string its_name, bool for_spool)
        : kind(its_kind), name(std::move(its_name)), spool(for_spool)
    {
    }
    std::string encode() const;
    static Result<SpawnRequest> decode(std::string_view bytes);

    Kind kind = Kind::FindUser;
    std::string name;   // of the user
    bool spool = false; // the gid is the one that may write to the mail spool directory
    uint32_t uid = 0;   // StartIds
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
    std::string home;
    // With a Start request that is Ok, the worker's socket comes beside the reply.
};

// Forks the spawner and returns the router's end of its socket. Call it before any thread exists.
Result<UniqueFd> start_spawner(const SpawnerSettings& settings);

} // namespace posthouse::local
