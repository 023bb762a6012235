// A message's header as a stranger writes it: however it is cut into pieces, the same message is stored,
// and nothing of it is lost but the headers that are to be dropped.
#include "lib/base/ascii.h"
#include "lib/log/log.h"
#include "lib/queue/header_scanner.h"
#include "lib/queue/intake.h"
#include "t/unit/queue/intake_fixture.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

using namespace posthouse;

namespace {

Task<Result<queue::IntakeResult>> pass(queue::IntakeTables& tables, test::Captured& captured, std::string_view bytes,
                                       size_t piece, queue::RewriteContext context)
{
    queue::Intake intake(tables, std::make_unique<test::MemoryMessage>(captured), context);
    for (size_t at = 0; at < bytes.size(); at += piece) {
        const std::string copy(bytes.substr(at, piece));
        (void)co_await intake.content(copy);
    }
    mail::Envelope envelope;
    envelope.recipients.emplace_back("a@else.example");
    const smtp::ContentFacts facts;
    co_return co_await intake.finish(std::move(envelope), facts, Deadline::never());
}

std::string stored(test::Opened<queue::IntakeTables>& tables, std::string_view bytes, size_t piece,
                   queue::RewriteContext context)
{
    test::Captured captured;
    auto result = tables.run(pass(*tables, captured, bytes, piece, context));
    return result ? captured.content : result.error().full_text();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    static test::Opened<queue::IntakeTables> tables("header_size_limit = 200\nmessage_drop_headers = bcc\n"
                                                    "hopcount_limit = 3\n");
    static const bool quiet = [] {
        log::Sink sink;
        sink.to = log::Sink::To::File;
        sink.path = "/dev/null";
        return log::open(sink);
    }();
    (void)quiet; // with lines on standard error it finds the same, only slower
    const std::string_view bytes(reinterpret_cast<const char*>(data), size);
    for (const auto context : {queue::RewriteContext::Remote, queue::RewriteContext::Local}) {
        const std::string whole = stored(tables, bytes, std::max<size_t>(size, 1), context);
        const size_t small = context == queue::RewriteContext::Remote ? 1 : 7;
        if (stored(tables, bytes, small, context) != whole)
            std::abort();
        if (whole.size() + 7 < size && ascii::lower(std::string(bytes)).find("bcc") == std::string::npos
            && whole.find("Error: ") != 0)
            std::abort();
    }
    // The groups of tasks that ended are cleared away by the loop's next round. Without it each input seems to leave
    // memory behind, and the fuzzer searches all of it for leaks after each.
    (void)tables.loop.run_once(Duration());
    return 0;
}
