// The spawner's messages as bytes: see spawn_protocol.h.
#include "local/spawn_protocol.h"

#include "lib/ipc/codec.h"

namespace posthouse::local {

namespace {
constexpr size_t longest_name = 256;
}

std::string SpawnRequest::encode() const
{
    ipc::Writer out;
    out.u8(static_cast<uint8_t>(kind));
    out.string(name);
    out.u32(uid);
    out.u32(gid);
    return out.take();
}

Result<SpawnRequest> SpawnRequest::decode(std::string_view bytes)
{
    ipc::Reader in(bytes);
    SpawnRequest request;
    const uint8_t kind = in.u8();
    request.kind = static_cast<Kind>(kind);
    request.name = in.string(longest_name);
    request.uid = in.u32();
    request.gid = in.u32();
    if (!in.ok_and_finished() || kind < 1 || kind > 4)
        return Error(ErrorKind::Corrupt, "malformed request to the spawner");
    return request;
}

std::string SpawnReply::encode() const
{
    ipc::Writer out;
    out.u8(static_cast<uint8_t>(status));
    out.string(text);
    out.u32(uid);
    out.u32(gid);
    out.string(mailbox);
    return out.take();
}

Result<SpawnReply> SpawnReply::decode(std::string_view bytes)
{
    ipc::Reader in(bytes);
    SpawnReply reply;
    const uint8_t status = in.u8();
    reply.status = static_cast<Status>(status);
    reply.text = in.string();
    reply.uid = in.u32();
    reply.gid = in.u32();
    reply.mailbox = in.string();
    if (!in.ok_and_finished() || status < 1 || status > 3)
        return Error(ErrorKind::Corrupt, "malformed reply of the spawner");
    return reply;
}

} // namespace posthouse::local
