// An operator's command talks to qmgr over public/qmgr: see control_client.h. A loop runs for one question at a time.
#include "tools/control_client.h"

#include "lib/base/cat.h"
#include "lib/event/loop.h"
#include "lib/event/task_group.h"
#include "lib/ipc/channel.h"

#include <optional>
#include <utility>

namespace posthouse::tools {

namespace {

// qmgr answers at once; only one that is stopped does not.
constexpr Duration answer_time = Duration::seconds(100);
constexpr Duration connect_time = Duration::seconds(10);

} // namespace

struct ControlClient::Impl {
    Loop loop;
    std::unique_ptr<ipc::Channel> channel;

    // Runs one task on the loop, which has nothing else to do.
    template <class T>
    T finish(Task<T> task)
    {
        std::optional<T> result;
        TaskGroup group(loop);
        group.spawn(keep(std::move(task), result));
        while (!result)
            loop.run_once(Duration::seconds(1));
        return std::move(*result);
    }

    template <class T>
    static Task<void> keep(Task<T> task, std::optional<T>& result)
    {
        result.emplace(co_await task);
    }

    Task<Result<queue::ControlEnd>> converse(ipc::Frame request,
                                             const std::function<void(const queue::ListEntry&)>& each)
    {
        CO_CHECK(channel->post(std::move(request)));
        while (true) {
            auto frame = co_await channel->receive(Deadline::after(answer_time));
            if (!frame)
                co_return std::move(frame.error());
            if (frame->type == queue::ControlEnd::type)
                co_return queue::ControlEnd::from_frame(*frame);
            auto entry = queue::ListEntry::from_frame(*frame);
            if (!entry)
                co_return std::move(entry.error());
            if (each)
                each(*entry);
        }
    }
};

ControlClient::ControlClient() : impl_(std::make_unique<Impl>()) {}

ControlClient::~ControlClient() = default;

Result<std::unique_ptr<ControlClient>> ControlClient::connect(const std::string& queue_directory)
{
    std::unique_ptr<ControlClient> client(new ControlClient);
    Impl& impl = *client->impl_;
    auto channel =
        impl.finish(ipc::connect(impl.loop, cat(queue_directory, "/public/qmgr"), Deadline::after(connect_time)));
    if (!channel)
        return std::move(channel.error());
    impl.channel = std::move(*channel);
    return client;
}

Result<queue::ControlEnd> ControlClient::ask(ipc::Frame request,
                                             const std::function<void(const queue::ListEntry&)>& each)
{
    return impl_->finish(impl_->converse(std::move(request), each));
}

} // namespace posthouse::tools
