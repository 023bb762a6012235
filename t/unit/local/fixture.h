// A scratch directory and a queue file for the tests of local delivery.
#pragma once

#include "lib/base/cat.h"
#include "lib/base/crc32c.h"
#include "lib/base/file.h"
#include "lib/base/unique_fd.h"
#include "local/mailbox_job.h"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace posthouse::test {

class Scratch {
public:
    Scratch()
    {
        char name[] = "/tmp/posthouse-local-XXXXXX";
        directory = ::mkdtemp(name);
        rules.host_name = "test.example";
        rules.locks = local::MailboxRules::LockFcntl | local::MailboxRules::LockDotfile;
    }
    ~Scratch() { std::filesystem::remove_all(directory); }
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    static constexpr uint64_t content_offset = 512;
    // A queue file as far as delivery looks at it.
    UniqueFd message(const std::string& content)
    {
        const std::string path = cat(directory, "/message", ++count_);
        if (!replace_file(path, std::string(content_offset, 'h') + content + "envelope", 0600))
            throw std::runtime_error("cannot write " + path);
        return UniqueFd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    }
    static queue::ContentInfo content_info(const std::string& content)
    {
        queue::ContentInfo info;
        info.offset = content_offset;
        info.size = content.size();
        info.crc32c = crc32c(content);
        return info;
    }
    local::MailboxJob job(local::MailboxJob::Kind kind, const std::string& name, const std::string& content)
    {
        local::MailboxJob job;
        job.kind = kind;
        job.path = cat(directory, '/', name);
        job.headers = "Return-Path: <a@b>\nDelivered-To: c@d\n";
        job.sender = "a@b";
        job.content = content_info(content);
        return job;
    }
    std::string read(const std::string& name) const
    {
        auto content = read_file(cat(directory, '/', name), 1 << 26);
        return content ? *content : "(none)";
    }
    std::vector<std::string> names_in(const std::string& name) const
    {
        std::vector<std::string> names;
        const std::string path = cat(directory, '/', name);
        if (std::filesystem::exists(path))
            for (const auto& entry : std::filesystem::directory_iterator(path))
                names.push_back(entry.path().filename());
        std::sort(names.begin(), names.end());
        return names;
    }

    std::string directory;
    local::MailboxRules rules;

private:
    int count_ = 0;
};

} // namespace posthouse::test
