// What the tests of routing, rewriting and intake share: a configuration from text, tables on a loop, and
// a message that stays in memory.
#pragma once

#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "lib/event/loop.h"
#include "lib/event/thread_pool.h"
#include "lib/queue/new_message.h"
#include "lib/table/table.h"
#include "t/support/run_task.h"

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace posthouse::test {

inline std::unique_ptr<config::Config> config_from(const std::string& text)
{
    std::vector<config::Fault> faults;
    auto config = config::Config::parse("myhostname = mx.ours.example\nmydomain = ours.example\n"
                                        "myorigin = ours.example\nmydestination = ours.example, localhost\n"
                                        "inet_interfaces = 127.0.0.1\nlocal_recipient_maps =\n" + text,
                                        config::Overrides(), faults);
    if (!config)
        throw std::runtime_error(config.error().full_text());
    return std::move(*config);
}

// `Subject` is a class with open(config, context).
template <class Subject>
class Opened {
public:
    explicit Opened(const std::string& main_cf)
        : pool(loop, 1), config(config_from(main_cf)), subject(open(*config, table::Context(loop, pool, *config)))
    {
    }
    Subject* operator->() { return subject.get(); }
    Subject& operator*() { return *subject; }
    template <class T>
    T run(Task<T> task)
    {
        return run_task(loop, std::move(task));
    }

    Loop loop;
    ThreadPool pool;
    std::unique_ptr<config::Config> config;
    std::unique_ptr<Subject> subject;

private:
    static std::unique_ptr<Subject> open(const config::Config& config, const table::Context& context)
    {
        auto opened = Subject::open(config, context);
        if (!opened)
            throw std::runtime_error(opened.error().full_text());
        return std::move(*opened);
    }
};

// What became of a message; outlives the NewMessage.
struct Captured {
    std::string content;
    size_t appends = 0;
    bool committed = false;
    mail::Envelope envelope;
    smtp::ContentFacts facts;
    bool fail_append = false;
};

class MemoryMessage final : public queue::NewMessage {
public:
    explicit MemoryMessage(Captured& into) : into_(into) {}
    const std::string& id() const override { return id_; }
    int64_t arrival_us() const override { return 1795664281000000; } // Thu, 26 Nov 2026
    uint64_t size() const override { return into_.content.size(); }
    Task<Result<void>> append(std::string_view content) override
    {
        if (into_.fail_append)
            co_return Error(ErrorKind::Temporary, "4.3.1", "no space left");
        ++into_.appends;
        into_.content.append(content);
        co_return Result<void>();
    }
    Task<Result<void>> commit(mail::Envelope envelope, smtp::ContentFacts facts, Deadline) override
    {
        into_.committed = true;
        into_.envelope = std::move(envelope);
        into_.facts = facts;
        co_return Result<void>();
    }

private:
    Captured& into_;
    std::string id_ = "4Test123z7";
};

} // namespace posthouse::test
