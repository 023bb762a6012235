// A scratch directory and a queue file for the tests of local delivery.
#pragma once

#include "lib/base/cat.h"
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
    local::MailboxJob job(local::MailboxJob::Kind kind, const std::string& name, const std::string& content)
    {
        local::MailboxJob job;
        job.kind = kind;
        job.path = cat(directory, '/', name);
        job.headers = "Return-Path: <a@b>\nDelivered-To: c@d\n";
        job.sender = "a@b";
        job.host_name = "test.example";
        job.content_offset = content_offset;
        job.content_size = content.size();
        job.locks = local::MailboxJob::LockFcntl | local::MailboxJob::LockDotfile;
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

private:
    int count_ = 0;
};

} // namespace posthouse::test
