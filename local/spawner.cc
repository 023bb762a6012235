// The spawner process: see spawner.h.
#include "local/spawner.h"

#include "lib/base/cat.h"
#include "lib/service/privileges.h"
#include "local/mandate.h"
#include "local/packet.h"
#include "local/worker.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace posthouse::local {

namespace {

using Status = SpawnReply::Status;

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

struct User {
    std::string name;
    uint32_t uid;
    uint32_t gid;
    std::string home;
};

// NotFound when there is none.
Result<User> find_user(const std::string& name)
{
    if (!is_user_name(name))
        return Error(ErrorKind::NotFound, "no such user");
    passwd entry;
    passwd* found = nullptr;
    std::vector<char> space(65536);
    const int code = ::getpwnam_r(name.c_str(), &entry, space.data(), space.size(), &found);
    if (!found) {
        const bool absent = code == 0 || code == ENOENT || code == ESRCH || code == EBADF || code == EPERM;
        return Error(absent ? ErrorKind::NotFound : ErrorKind::Temporary, cat("user lookup: ", strerror(code)));
    }
    if (!is_user_name(found->pw_name)) // what makes the mailbox's name is the database's spelling
        return Error(ErrorKind::NotFound, "no such user");
    return User{found->pw_name, found->pw_uid, found->pw_gid, found->pw_dir};
}

// Mailboxes in the spool are written with the group that may create files there.
Result<uint32_t> spool_group(const User& user, const std::string& directory)
{
    struct stat status;
    if (::stat(directory.c_str(), &status) != 0 || (status.st_mode & S_IWOTH) || status.st_uid == user.uid)
        return user.gid;
    if (status.st_mode & S_IWGRP)
        return status.st_gid;
    return Error(ErrorKind::Temporary, cat("mail_spool_directory ", directory, " is not writable by its group"));
}

Result<Mandate> for_mailbox(const std::string& name, const Settings& settings)
{
    auto user = find_user(name);
    if (!user)
        return std::move(user.error());
    struct stat home;
    if (settings.wants_home && ::stat(user->home.c_str(), &home) != 0)
        return Error(ErrorKind::Temporary, cat("home directory ", user->home, ": ", std::strerror(errno)));
    Mandate mandate(Mandate::Kind::Mailbox, user->uid, user->gid, std::string());
    if (!settings.home_mailbox.empty()) {
        mandate.path = cat(user->home, '/', settings.home_mailbox);
        return mandate;
    }
    auto group = spool_group(*user, settings.spool_directory);
    if (!group)
        return std::move(group.error());
    mandate.gid = *group;
    const bool maildirs = settings.spool_directory.ends_with('/');
    mandate.path = cat(settings.spool_directory, maildirs ? "" : "/", user->name, maildirs ? "/" : "");
    return mandate;
}

Result<Mandate> for_files(const Settings& settings)
{
    if (!settings.files_in_aliases && !settings.files_in_includes)
        return Error(ErrorKind::Temporary, "mail to files is not permitted here");
    auto user = find_user(settings.default_user);
    if (!user)
        return Error(ErrorKind::Temporary, cat("default_privs = ", settings.default_user, ": ", user.error().text()));
    return Mandate(Mandate::Kind::Files, user->uid, user->gid, std::string());
}

// A user's own group may be one of the system's: mail, say.
bool is_own_group(uint32_t uid, uint32_t gid)
{
    passwd entry;
    passwd* found = nullptr;
    std::vector<char> space(65536);
    return ::getpwuid_r(uid, &entry, space.data(), space.size(), &found) == 0 && found && found->pw_gid == gid;
}

Result<Mandate> for_ids(uint32_t uid, uint32_t gid, const Settings& settings)
{
    const uint32_t least = settings.minimum_uid;
    if (uid < least || (settings.only_uid && uid != *settings.only_uid))
        return Error(ErrorKind::Temporary,
                     cat("uid ", uid, " is not that of virtual_uid_maps, or below virtual_minimum_uid"));
    if (settings.only_gid ? gid != *settings.only_gid : gid < least && !is_own_group(uid, gid))
        return Error(ErrorKind::Temporary,
                     cat("gid ", gid, " is not that of virtual_gid_maps, or below virtual_minimum_uid and not the group of uid ", uid));
    return Mandate(Mandate::Kind::Below, uid, gid, settings.virtual_base);
}

// What a worker for this request may do.
Result<Mandate> decide(const SpawnRequest& request, const Settings& settings)
{
    const bool is_virtual = settings.mode == Mode::Virtual;
    if (is_virtual != (request.kind == SpawnRequest::Kind::StartIds))
        return Error(ErrorKind::Temporary, "this spawner serves another program");
    switch (request.kind) {
    case SpawnRequest::Kind::StartIds:
        return for_ids(request.uid, request.gid, settings);
    case SpawnRequest::Kind::StartFiles:
        return for_files(settings);
    case SpawnRequest::Kind::FindUser:
    case SpawnRequest::Kind::StartUser:
        break;
    }
    return for_mailbox(request.name, settings);
}

// Nothing is delivered with the uid or the gid of root, whatever a table, a user's entry or the group of a
// directory says.
Result<void> refuse_root(const Mandate& mandate)
{
    const char* why = nullptr;
    if (::geteuid() != 0)
        why = mandate.uid == ::geteuid() ? nullptr : "not running as root: can deliver as our own user only";
    else if (mandate.uid == 0)
        why = "no delivery into a mailbox of root: name an alias for root in aliases(5)";
    else if (mandate.gid == 0)
        why = "no delivery with the group of root";
    if (why)
        return Error(ErrorKind::Temporary, why);
    return Result<void>();
}

// Forks the worker; what the spawner keeps is nothing.
Result<UniqueFd> start_worker(const Mandate& mandate, const Settings& settings, int own_link)
{
    RETURN_IF_ERROR(refuse_root(mandate));
    int ends[2];
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0)
        return Error::system("socketpair", errno);
    UniqueFd router_end(ends[0]);
    UniqueFd worker_end(ends[1]);
    const pid_t child = ::fork();
    if (child < 0)
        return Error::system("fork", errno);
    if (child == 0) {
        ::close(own_link);
        router_end.reset();
        ::prctl(PR_SET_NAME, "local-worker");
        if (!become_user(mandate.uid, mandate.gid))
            ::_exit(1);
        run_worker(std::move(worker_end), mandate, settings.rules, settings.worker_threads);
        ::_exit(0);
    }
    return router_end;
}

SpawnReply answer(const SpawnRequest& request, const Settings& settings, int own_link, UniqueFd& worker)
{
    auto mandate = decide(request, settings);
    if (!mandate)
        return SpawnReply(mandate.error().kind() == ErrorKind::NotFound ? Status::NoUser : Status::Refused,
                          mandate.error().text());
    SpawnReply reply(Status::Ok, "");
    reply.uid = mandate->uid;
    reply.gid = mandate->gid;
    if (mandate->kind == Mandate::Kind::Mailbox)
        reply.mailbox = mandate->path;
    if (request.kind == SpawnRequest::Kind::FindUser)
        return reply;
    auto started = start_worker(*mandate, settings, own_link);
    if (!started)
        return SpawnReply(Status::Refused, started.error().text());
    worker = std::move(*started);
    return reply;
}

[[noreturn]] void serve_requests(int link, const Settings& settings)
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
        UniqueFd worker;
        const SpawnReply reply = answer(*request, settings, link, worker);
        uint64_t serial;
        memcpy(&serial, bytes, serial_size);
        send_packet(link, serial, reply.encode(), worker.get(), 0);
    }
}

} // namespace

Result<UniqueFd> start_spawner(const Settings& settings)
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
        const rlimit no_core = {0, 0}; // mail is not for other folders, nor for workers to leave behind
        ::setrlimit(RLIMIT_CORE, &no_core);
        ::dup2(STDOUT_FILENO, STDERR_FILENO); // `posthouse start` still reads what programs say on their way up
        // Of root's powers what this process is for: to become another user, and to look at a folder wherever it is.
        // A worker loses these as well when it becomes its user.
        if (::chdir("/") != 0 || (::geteuid() == 0 && ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) ||
            !service::keep_capabilities(1U << CAP_SETUID | 1U << CAP_SETGID | 1U << CAP_DAC_READ_SEARCH))
            ::_exit(1);
        serve_requests(service::close_all_but(spawner_end.get()), settings); // nothing of the router's comes along
    }
    return router_end;
}

} // namespace posthouse::local
