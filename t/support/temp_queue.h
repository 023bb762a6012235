// A queue directory that lives as long as the test, and what the tests of lib/queue do with it.
#pragma once

#include "lib/base/cat.h"
#include "lib/base/crc32c.h"
#include "lib/queue/queue_file.h"
#include "lib/queue/queue_id.h"
#include "lib/queue/slot_pool.h"

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace posthouse::test {

class TempDirectory {
public:
    TempDirectory()
    {
        const char* base = std::getenv("TMPDIR");
        std::string name = cat(base ? base : "/tmp", "/posthouse-test-XXXXXX");
        path_ = ::mkdtemp(name.data());
    }
    ~TempDirectory()
    {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }
    TempDirectory(const TempDirectory&) = delete;
    TempDirectory& operator=(const TempDirectory&) = delete;
    const std::string& path() const { return path_; }

private:
    std::string path_;
};

// Keeps what the pool tells.
class RecordingListener final : public queue::QueueListener {
public:
    struct Arrived {
        queue::StoredMessage message;
        queue::Arrival how;
    };
    std::vector<Arrived> arrived;
    std::vector<std::string> damaged;

    void message_found(queue::StoredMessage message, queue::Arrival how) override
    {
        arrived.push_back(Arrived{std::move(message), how});
    }
    void message_damaged(uint64_t, const std::string& id) override { damaged.push_back(id); }
};

inline mail::Envelope sample_envelope(size_t recipients = 1)
{
    mail::Envelope envelope;
    envelope.sender = "sender@example.com";
    for (size_t i = 0; i < recipients; ++i)
        envelope.recipients.emplace_back(cat("user", i, "@example.net"));
    envelope.client_address = "192.0.2.1";
    return envelope;
}

inline std::string sample_content(size_t size, char fill = 'x')
{
    std::string content = "Subject: test\r\n\r\n";
    while (content.size() < size)
        content += std::string(70, fill) + "\r\n";
    return content.substr(0, size);
}

inline queue::ContentInfo info_of(const std::string& content)
{
    queue::ContentInfo info;
    info.offset = queue::header_size;
    info.size = content.size();
    info.crc32c = crc32c(content);
    return info;
}

} // namespace posthouse::test
