// Writes a message from its queue file into a mailbox file: the added headers, then the content with
// LF line ends. Blocking; runs in a worker's threads.
#pragma once

#include "lib/base/result.h"
#include "local/mailbox_job.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace posthouse::local {

// Turns wire form into LF lines, piece by piece; for an mbox also "From " at the start of a line into
// ">From ". Pure.
class LineConverter {
public:
    explicit LineConverter(bool quote_from) : quote_from_(quote_from) {}
    void add(std::string_view piece, std::string& out);
    // What was held back, and a final LF if the last line had none.
    void finish(std::string& out);

private:
    void add_line_bytes(std::string_view bytes, std::string& out);
    bool quote_from_;
    bool held_cr_ = false;
    bool in_line_ = false;  // the last byte put out was not LF
    std::string held_;      // what may become "From "
};

struct Copied {
    uint64_t bytes; // written
};
// At the present position of `to`. The error has the code and text for the delivery's result; of kind Corrupt
// when the content is not what intake took, so that the caller can undo what was written.
Result<Copied> copy_message(int from, const MailboxJob& job, std::string_view first_line, bool quote_from, int to);

// The result for a system call that failed: deferred, with 4.2.2, 4.3.1 or 4.2.0.
MailboxResult system_failure(std::string_view what, int errno_value);

} // namespace posthouse::local
