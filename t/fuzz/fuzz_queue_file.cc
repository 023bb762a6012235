// A queue file with any bytes: examined without a crash, and never a message whose parts do not agree.
#include "lib/base/file.h"
#include "lib/queue/mark_journal.h"
#include "lib/queue/queue_file.h"
#include "lib/queue/queue_id.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <sys/mman.h>

using namespace posthouse;
using namespace posthouse::queue;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    static const UniqueFd file(::memfd_create("queue-file", MFD_CLOEXEC));
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    if (::ftruncate(file.get(), 0) != 0 || !pwrite_all(file.get(), bytes, 0))
        return 0;
    const auto examination = examine_file(file.get(), 298, Depth::WithContent);
    if (examination && examination->verdict == Verdict::Complete) {
        const StoredMessage& message = examination->message;
        if (number_of(message.id()) != 298u || message.states.size() != message.envelope.recipients.size() ||
            message.states_offset + message.states.size() > size || !verify_content(file.get(), message.content))
            std::abort();
    }
    Fact fact;
    if (decode_fact(bytes.substr(0, fact_size), fact)) {
        std::string again;
        encode(fact, again);
        if (again.size() != fact_size)
            std::abort();
    }
    (void)number_of(bytes.substr(0, 40));
    return 0;
}
