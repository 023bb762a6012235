// What delivery wants to know of a message's own header: where it has been delivered before.
#pragma once

#include "lib/base/result.h"
#include "lib/event/task.h"
#include "lib/event/thread_pool.h"
#include "lib/queue/content_info.h"

#include <string>
#include <string_view>
#include <vector>

namespace posthouse::local {

// The addresses of all Delivered-To: fields, in lower case. `header` may be cut off anywhere. Pure.
std::vector<std::string> delivered_to_addresses(std::string_view header);

class MessageHead {
public:
    MessageHead() = default;
    explicit MessageHead(std::vector<std::string> delivered_to) : delivered_to_(std::move(delivered_to)) {}
    // `file` must stay open until the task ends, also by cancelling. Looks at 256 KB of header at most.
    static Task<Result<MessageHead>> read(ThreadPool& pool, int file, queue::ContentInfo content);

    bool was_delivered_to(std::string_view address) const; // ignoring case

private:
    std::vector<std::string> delivered_to_;
};

} // namespace posthouse::local
