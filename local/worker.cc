// The worker process: see worker.h.
#include "local/worker.h"

#include "lib/base/cat.h"
#include "local/maildir.h"
#include "local/mailbox_job.h"
#include "local/mbox.h"
#include "local/packet.h"

#include <cerrno>
#include <cstring>
#include <grp.h>
#include <mutex>
#include <string>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <system_error>
#include <thread>
#include <vector>

namespace posthouse::local {

bool become_user(uid_t uid, gid_t gid)
{
    ::umask(077);
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (::geteuid() != 0)
        return uid == ::geteuid();
    if (uid == 0 || gid == 0)
        return false;
    if (::setgroups(1, &gid) != 0 || ::setresgid(gid, gid, gid) != 0 || ::setresuid(uid, uid, uid) != 0)
        return false;
    gid_t group = 0;
    return ::setuid(0) != 0 && ::geteuid() == uid && ::getegid() == gid && ::getgroups(1, &group) == 1 && group == gid;
}

namespace {

// One packet from the socket.
struct Packet {
    uint64_t serial = 0;
    std::string body;
    UniqueFd file;
    bool file_was_lost = false; // for want of a descriptor
};

// False at the end.
bool receive(int link, std::vector<char>& space, Packet& packet)
{
    iovec part = {space.data(), space.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t got;
    do
        got = ::recvmsg(link, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got > 0)
        packet.file = descriptor_of(message);
    packet.file_was_lost = (message.msg_flags & MSG_CTRUNC) != 0;
    if (got < static_cast<ssize_t>(serial_size) || (message.msg_flags & MSG_TRUNC))
        return false;
    memcpy(&packet.serial, space.data(), serial_size);
    packet.body.assign(space.data() + serial_size, static_cast<size_t>(got) - serial_size);
    return true;
}

class Worker {
public:
    // Both outlive the worker.
    Worker(UniqueFd link, const Mandate& mandate, const MailboxRules& rules, size_t most_threads)
        : link_(std::move(link)), mandate_(mandate), rules_(rules), most_threads_(most_threads)
    {
    }
    void run()
    {
        serve();
        // The socket is at its end: every thread sees that after its job.
        for (bool more = true; more;) {
            std::thread last;
            {
                const std::lock_guard lock(mutex_);
                more = !threads_.empty();
                if (more) {
                    last = std::move(threads_.back());
                    threads_.pop_back();
                }
            }
            if (more)
                last.join();
        }
    }

private:
    void serve();
    void take_part_in_work();
    MailboxResult deliver(const Packet& packet);

    UniqueFd link_;
    const Mandate& mandate_;
    const MailboxRules& rules_;
    const size_t most_threads_;
    MaildirSet maildirs_;
    std::mutex mutex_; // guards what follows
    std::vector<std::thread> threads_;
    size_t idle_ = 0;
};

void Worker::serve()
{
    std::vector<char> space(longest_packet);
    while (true) {
        {
            const std::lock_guard lock(mutex_);
            ++idle_;
        }
        Packet packet;
        const bool received = receive(link_.get(), space, packet);
        {
            const std::lock_guard lock(mutex_);
            --idle_;
        }
        if (!received)
            return;
        take_part_in_work();
        const std::string answer = deliver(packet).encode();
        packet.file.reset();
        if (send_packet(link_.get(), packet.serial, answer, -1, 0) < 0)
            return;
    }
}

// Somebody else must be there for the next job.
void Worker::take_part_in_work()
{
    const std::lock_guard lock(mutex_);
    if (idle_ > 0 || threads_.size() + 1 >= most_threads_)
        return;
    try {
        threads_.emplace_back([this] { serve(); });
    } catch (const std::system_error&) {
        // The user's processes are limited: those who are there take the next job when they have time.
    }
}

MailboxResult Worker::deliver(const Packet& packet)
{
    auto job = MailboxJob::decode(packet.body);
    if (!job)
        return MailboxResult(MailboxResult::Status::Deferred, "4.3.0", "delivery worker: malformed job");
    if (!packet.file)
        return MailboxResult(MailboxResult::Status::Deferred, "4.3.0",
                             packet.file_was_lost ? "delivery worker: no file descriptor left for the message"
                                                  : "delivery worker: a job without its message");
    if (const char* why = mandate_.refusal(*job))
        return MailboxResult(MailboxResult::Status::Deferred, "4.3.0",
                             cat("delivery worker: refused ", job->path, ": ", why));
    if (job->kind == MailboxJob::Kind::Maildir)
        return maildirs_.deliver(*job, rules_, packet.file.get());
    return deliver_to_mbox(*job, rules_, packet.file.get());
}

} // namespace

void run_worker(UniqueFd link, const Mandate& mandate, const MailboxRules& rules, size_t most_threads)
{
    Worker(std::move(link), mandate, rules, most_threads).run();
}

} // namespace posthouse::local
