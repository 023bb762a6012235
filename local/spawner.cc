// The spawner process: see spawner.h.
#include "local/spawner.h"

#include "lib/base/cat.h"
#include "lib/ipc/codec.h"
#include "local/worker.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <optional>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace posthouse::local {

std::string SpawnRequest::encode() const
{
    ipc::Writer out;
    out.u8(static_cast<uint8_t>(kind));
    out.string(name);
    out.boolean(spool);
    out.u32(uid);
    out.u32(gid);
    return out.take();
}

Result<SpawnRequest> SpawnRequest::decode(std::string_view bytes)
{
    ipc::Reader in(bytes);
    SpawnRequest request;
    const uint8_t kind = in.u8();
    request.kind = static_cast<Kind>(kind);
    request.name = in.string(256);
    request.spool = in.boolean();
    request.uid = in.u32();
    request.gid = in.u32();
    if (!in.ok_and_finished() || kind < 1 || kind > 3)
        return Error(ErrorKind::Corrupt, "malformed request to the spawner");
    return request;
}

std::string SpawnReply::encode() const
{
    ipc::Writer out;
    out.u8(static_cast<uint8_t>(status));
    out.string(text);
    out.u32(uid);
    out.u32(gid);
    out.string(home);
    return out.take();
}

Result<SpawnReply> SpawnReply::decode(std::string_view bytes)
{
    ipc::Reader in(bytes);
    SpawnReply reply;
    const uint8_t status = in.u8();
    reply.status = static_cast<Status>(status);
    reply.text = in.string();
    reply.uid = in.u32();
    reply.gid = in.u32();
    reply.home = in.string();
    if (!in.ok_and_finished() || status < 1 || status > 3)
        return Error(ErrorKind::Corrupt, "malformed reply of the spawner");
    return reply;
}

namespace {

using Status = SpawnReply::Status;

constexpr size_t serial_size = 8;
constexpr size_t longest_request = 4096;

// What a name may be before the name service sees it.
bool is_user_name(const std::string& name)
{
    if (name.empty() || name.front() == '-' || name.front() == '.')
        return false;
    for (const char c : name)
        if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f || c == '/' || c == ':' || c == ',')
            return false;
    return true;
}

SpawnReply find_user(const std::string& name)
{
    if (!is_user_name(name))
        return SpawnReply(Status::NoUser, "");
    passwd entry;
    passwd* found = nullptr;
    std::vector<char> space(65536);
    const int code = ::getpwnam_r(name.c_str(), &entry, space.data(), space.size(), &found);
    if (!found) {
        const bool absent = code == 0 || code == ENOENT || code == ESRCH || code == EBADF || code == EPERM;
        return absent ? SpawnReply(Status::NoUser, "")
                      : SpawnReply(Status::Refused, cat("user lookup: ", strerror(code)));
    }
    SpawnReply reply(Status::Ok, "");
    reply.uid = found->pw_uid;
    reply.gid = found->pw_gid;
    reply.home = found->pw_dir;
    return reply;
}

// Mailboxes in the spool are written with the group that may create files there, not with root.
void use_spool_group(SpawnReply& reply, const std::string& directory)
{
    struct stat status;
    if (::stat(directory.c_str(), &status) != 0 || (status.st_mode & S_IWOTH) || status.st_uid == reply.uid)
        return;
    if (status.st_mode & S_IWGRP)
        reply.gid = status.st_gid;
    else
        reply = SpawnReply(Status::Refused, cat("mail_spool_directory ", directory, " is not writable by its group"));
}

SpawnReply resolve(const SpawnRequest& request, const SpawnerSettings& settings)
{
    if (request.kind == SpawnRequest::Kind::StartIds) {
        if (request.uid < settings.minimum_uid || request.gid == 0)
            return SpawnReply(Status::Refused, cat("uid ", request.uid, " or gid ", request.gid,
                                                   " is too low (virtual_minimum_uid)"));
        SpawnReply reply(Status::Ok, "");
        reply.uid = request.uid;
        reply.gid = request.gid;
        return reply;
    }
    SpawnReply reply = find_user(request.name);
    if (reply.status == Status::Ok && request.spool)
        use_spool_group(reply, settings.spool_directory);
    return reply;
}

const char* refusal(const SpawnReply& reply)
{
    if (::geteuid() != 0)
        return reply.uid == ::geteuid() ? nullptr : "not running as root: can deliver as our own user only";
    return reply.uid == 0 ? "no delivery into a mailbox of root: name an alias for root in aliases(5)" : nullptr;
}

// Forks the worker; what the spawner keeps is nothing.
UniqueFd start_worker(SpawnReply& reply, const SpawnerSettings& settings, int own_link)
{
    if (const char* why = refusal(reply)) {
        reply.status = Status::Refused;
        reply.text = why;
        return UniqueFd();
    }
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
        reply = SpawnReply(Status::Refused, cat("socketpair: ", strerror(errno)));
        return UniqueFd();
    }
    UniqueFd router_end(ends[0]);
    UniqueFd worker_end(ends[1]);
    const pid_t child = ::fork();
    if (child < 0) {
        reply = SpawnReply(Status::Refused, cat("fork: ", strerror(errno)));
        return UniqueFd();
    }
    if (child == 0) {
        ::close(own_link);
        router_end.reset();
        ::prctl(PR_SET_NAME, "local-worker");
        if (!become_user(reply.uid, reply.gid))
            ::_exit(1);
        run_worker(std::move(worker_end), settings.worker_threads);
        ::_exit(0);
    }
    return router_end;
}

void send_reply(int link, const std::string& bytes, const UniqueFd& worker)
{
    iovec part = {const_cast<char*>(bytes.data()), bytes.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    if (worker) {
        message.msg_control = control;
        message.msg_controllen = sizeof control;
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof(int));
        const int fd = worker.get();
        memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    ::sendmsg(link, &message, MSG_NOSIGNAL);
}

[[noreturn]] void serve_requests(int link, const SpawnerSettings& settings)
{
    char bytes[longest_request];
    while (true) {
        const ssize_t got = ::recv(link, bytes, sizeof bytes, MSG_TRUNC);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < static_cast<ssize_t>(serial_size) || got > static_cast<ssize_t>(sizeof bytes))
            ::_exit(got == 0 ? 0 : 1); // the router is gone, or it is not the one we know
        const auto request =
            SpawnRequest::decode(std::string_view(bytes + serial_size, static_cast<size_t>(got) - serial_size));
        if (!request)
            ::_exit(1);
        SpawnReply reply = resolve(*request, settings);
        UniqueFd worker;
        if (reply.status == Status::Ok && request->kind != SpawnRequest::Kind::FindUser)
            worker = start_worker(reply, settings, link);
        send_reply(link, std::string(bytes, serial_size) + reply.encode(), worker);
    }
}

// Nothing of the router's comes along: sockets of master's, tables, the loop.
int close_all_but(UniqueFd link)
{
    const int kept = ::fcntl(link.get(), F_DUPFD_CLOEXEC, 3);
    link.reset();
    if (kept > 3)
        ::close_range(3, static_cast<unsigned>(kept - 1), 0);
    ::close_range(static_cast<unsigned>(kept + 1), ~0U, 0);
    return kept;
}

} // namespace

Result<UniqueFd> start_spawner(const SpawnerSettings& settings)
{
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return Error::system("socketpair", errno);
    UniqueFd router_end(ends[0]);
    UniqueFd spawner_end(ends[1]);
    const pid_t child = ::fork();
    if (child < 0)
        return Error::system("fork", errno);
    if (child == 0) {
        ::signal(SIGCHLD, SIG_IGN); // workers need no waiting for
        // It ends when the router does, and workers when their work is done: not by a signal to the group.
        // A file that grows too large is an error of write().
        for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ})
            ::signal(number, SIG_IGN);
        ::prctl(PR_SET_NAME, "local-spawner");
        if (::chdir("/") != 0)
            ::_exit(1);
        router_end.reset();
        serve_requests(close_all_but(std::move(spawner_end)), settings);
    }
    return router_end;
}

} // namespace posthouse::local
