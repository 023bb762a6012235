// Messages between programs with any bytes: the first selects the message, the rest is its body. What is
// accepted is encoded to the same bytes again.
#include "lib/ipc/channel.h"
#include "lib/queue/control_protocol.h"
#include "lib/queue/delivery_protocol.h"
#include "lib/queue/lease_protocol.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <unistd.h>

using namespace posthouse;
using namespace posthouse::queue;

namespace {

template <class Message>
void check(const std::string& body)
{
    ipc::Frame frame(Message::type, body);
    const auto message = Message::from_frame(frame);
    if (message && message->to_frame().body != body)
        std::abort();
}

template <class Message>
void check_with_descriptor(const std::string& body)
{
    ipc::Frame frame(Message::type, body);
    frame.fds.emplace_back(::dup(0));
    auto message = Message::from_frame(std::move(frame));
    if (message && std::move(*message).to_frame().body != body)
        std::abort();
}

void check_lease(const std::string& body)
{
    ipc::Frame frame(Lease::type, body);
    if (body.size() > 16)
        for (int i = static_cast<unsigned char>(body[16]); i > 0; --i)
            frame.fds.emplace_back(::dup(0));
    const auto message = Lease::from_frame(frame);
    if (message && message->to_frame().body != body)
        std::abort();
}

constexpr void (*checks[])(const std::string&) = {
    check<LeaseHello>,     check<LeaseRequest>,  check_lease,
    check<LeaseRefused>,   check<Committed>,     check<Dropped>,
    check<AgentHello>,     check_with_descriptor<DeliveryRequest>, check<RecipientOutcome>,
    check<DeliveryDone>,   check<DeliveryCancel>, check<ControlList>,
    check<ListEntry>,      check<ControlFlush>,  check<ControlAct>,
    check<ControlStatus>,  check<ControlEnd>,    check<AgentLeaving>,
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    if (size == 0)
        return 0;
    const std::string body(reinterpret_cast<const char*>(data) + 1, size - 1);
    checks[data[0] % (sizeof checks / sizeof *checks)](body);
    return 0;
}
