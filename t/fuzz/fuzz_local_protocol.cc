// What the parts of local tell each other, as a router that was taken over might say it to the spawner
// (root) and to a worker: what is understood means the same when it is said again, and no job leads a
// worker out of the directory that its mandate names.
#include "local/mailbox_job.h"
#include "local/mandate.h"
#include "local/spawn_protocol.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

using namespace posthouse::local;

namespace {

template <class Message>
void check_round_trip(std::string_view bytes)
{
    const auto message = Message::decode(bytes);
    if (!message)
        return;
    const std::string said = message->encode();
    const auto again = Message::decode(said);
    if (!again || again->encode() != said)
        std::abort();
}

void check_mandate(std::string_view bytes)
{
    const Mandate below(Mandate::Kind::Below, 1000, 1000, "/mail");
    const auto job = MailboxJob::decode(bytes);
    if (!job || below.refusal(*job))
        return;
    if (!job->path.starts_with("/mail/") || (job->path + "/").find("/../") != std::string::npos)
        std::abort();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    check_round_trip<SpawnRequest>(bytes);
    check_round_trip<SpawnReply>(bytes);
    check_round_trip<MailboxJob>(bytes);
    check_round_trip<MailboxResult>(bytes);
    check_mandate(bytes);
    return 0;
}
