// The spawner and its workers against a router that was taken over: the real processes, and packets as no
// honest router would send them.
#include "local/packet.h"
#include "local/spawner.h"
#include "local/worker.h"

#include "t/support/catch.h"
#include "t/unit/local/fixture.h"

#include <cstring>
#include <fstream>
#include <pwd.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace posthouse;
using namespace posthouse::local;
using Kind = SpawnRequest::Kind;
using Status = SpawnReply::Status;

namespace {

const std::string content = "Subject: x\r\n\r\ntext\r\n";
constexpr uint64_t serial = 0x3132333435363738;

bool is_root()
{
    if (::geteuid() != 0)
        WARN("needs root: skipped");
    return ::geteuid() == 0;
}

// The answer to one packet, with the descriptor beside it; "" when the other side has closed.
std::string exchange(int link, const std::string& bytes, int give, UniqueFd* take)
{
    if (send_packet(link, serial, bytes, give, 0) < 0)
        return "";
    std::vector<char> space(65536);
    iovec part = {space.data(), space.size()};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message = {};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const ssize_t got = ::recvmsg(link, &message, MSG_CMSG_CLOEXEC);
    if (got < static_cast<ssize_t>(serial_size))
        return "";
    UniqueFd taken = descriptor_of(message);
    if (take)
        *take = std::move(taken);
    return std::string(space.data() + serial_size, static_cast<size_t>(got) - serial_size);
}

class Router {
public:
    explicit Router(const Settings& settings)
    {
        auto started = start_spawner(settings);
        REQUIRE(started);
        spawner = std::move(*started);
    }
    SpawnReply ask(const SpawnRequest& request)
    {
        worker.reset();
        auto reply = SpawnReply::decode(exchange(spawner.get(), request.encode(), -1, &worker));
        REQUIRE(reply);
        CHECK(static_cast<bool>(worker) == (reply->status == Status::Ok && request.kind != Kind::FindUser));
        return *reply;
    }
    SpawnReply ask(Kind kind, const std::string& name = "") { return ask(SpawnRequest(kind, name)); }
    SpawnReply ask_ids(uint32_t uid, uint32_t gid)
    {
        SpawnRequest request;
        request.kind = Kind::StartIds;
        request.uid = uid;
        request.gid = gid;
        return ask(request);
    }
    // By the worker that came last: "delivered", or its text.
    std::string deliver(const MailboxJob& job, int message)
    {
        auto result = MailboxResult::decode(exchange(worker.get(), job.encode(), message, nullptr));
        if (!result)
            return "(the worker is gone)";
        return result->status == MailboxResult::Status::Delivered ? "delivered" : result->text;
    }
    UniqueFd spawner;
    UniqueFd worker;
};

class Hostile {
public:
    explicit Hostile(Mode mode)
    {
        ::chmod(scratch.directory.c_str(), 0755);
        for (const char* name : {"spool", "base", "outside", "home"}) {
            std::filesystem::create_directory(at(name));
            ::chmod(at(name).c_str(), 01777);
        }
        settings.mode = mode;
        settings.rules = scratch.rules;
        settings.spool_directory = at("spool/");
        settings.virtual_base = at("base");
        settings.worker_threads = 2;
        settings.minimum_uid = ::geteuid() == 0 ? 100 : 1;
        const passwd* entry = ::geteuid() == 0 ? ::getpwnam("nobody") : ::getpwuid(::geteuid());
        REQUIRE(entry);
        user = entry->pw_name;
        uid = entry->pw_uid;
        gid = ::geteuid() == 0 ? entry->pw_gid : ::getegid();
        settings.default_user = user;
    }
    std::string at(const std::string& name) const { return cat(scratch.directory, '/', name); }
    MailboxJob job(MailboxJob::Kind kind, const std::string& path)
    {
        MailboxJob made = scratch.job(kind, "", content);
        made.path = path;
        return made;
    }
    size_t files_outside() const
    {
        size_t count = 0;
        for (const auto& entry : std::filesystem::recursive_directory_iterator(at("outside")))
            count += entry.exists() ? 1 : 0;
        return count;
    }
    test::Scratch scratch;
    Settings settings;
    std::string user;
    uint32_t uid = 0;
    uint32_t gid = 0;
};

// In place of the machine's: bound over /etc/passwd in a mount namespace of this process.
class OwnUsers {
public:
    OwnUsers(const Hostile& place, const std::string& lines)
    {
        const std::string path = place.at("passwd");
        std::ofstream(path) << "root:x:0:0:root:/root:/bin/sh\n" << lines;
        ::chmod(path.c_str(), 0644);
        there = ::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                ::mount(path.c_str(), "/etc/passwd", nullptr, MS_BIND, nullptr) == 0;
        if (!there)
            WARN("cannot bind over /etc/passwd: skipped");
    }
    ~OwnUsers()
    {
        if (there)
            ::umount2("/etc/passwd", MNT_DETACH);
    }
    OwnUsers(const OwnUsers&) = delete;
    OwnUsers& operator=(const OwnUsers&) = delete;
    bool there = false;
};

} // namespace

TEST_CASE("the spawner finds users, and takes no name that means anything to a file system")
{
    Hostile place(Mode::Local);
    Router router(place.settings);
    const SpawnReply found = router.ask(Kind::FindUser, place.user);
    CHECK(found.status == Status::Ok);
    CHECK(found.uid == place.uid);
    CHECK(found.mailbox == place.at("spool/") + place.user + "/");
    for (const std::string& strange : {std::string("no-such-user"), std::string("../x"), std::string("a/b"), std::string("-x"),
                                       std::string(), std::string(".."), std::string("a:b"), std::string("a\0b", 3)})
        for (const Kind kind : {Kind::FindUser, Kind::StartUser})
            CHECK(router.ask(kind, strange).status == Status::NoUser);
}

TEST_CASE("with require_home_directory mail for a user whose home is missing waits")
{
    Hostile place(Mode::Local);
    place.settings.wants_home = true;
    if (!is_root())
        return;
    const OwnUsers users(place, cat("joe:x:12399:12399::", place.at("home"), ":/bin/sh\nann:x:12398:12398::/nowhere/ann:/bin/sh\n"));
    if (!users.there)
        return;
    Router router(place.settings);
    CHECK(router.ask(Kind::StartUser, "joe").status == Status::Ok);
    const SpawnReply reply = router.ask(Kind::StartUser, "ann");
    CHECK(reply.status == Status::Refused); // for now: the router puts the mail off
    CHECK(reply.text == "home directory /nowhere/ann: No such file or directory");
}

TEST_CASE("a malformed request ends the spawner, and with it the process that sent it")
{
    Hostile place(Mode::Local);
    for (const std::string& bytes : {std::string("x"), std::string(5000, 'x'), SpawnRequest(Kind::FindUser, "joe").encode() + "x",
                                     SpawnRequest(static_cast<Kind>(9), "joe").encode()}) {
        Router router(place.settings);
        CHECK(exchange(router.spawner.get(), bytes, -1, nullptr).empty());
        CHECK(exchange(router.spawner.get(), SpawnRequest(Kind::FindUser, "joe").encode(), -1, nullptr).empty());
    }
}

TEST_CASE("nobody gets a worker with the uid or the gid of root, by whatever name")
{
    if (!is_root())
        return;
    Hostile place(Mode::Local);
    const OwnUsers users(place, "toor:x:0:12399::/:/bin/sh\nwheel:x:12399:0::/:/bin/sh\njoe:x:12399:12399::/:/bin/sh\n");
    if (!users.there)
        return;
    {
        Router router(place.settings);
        for (const char* name : {"root", "toor"})
            CHECK(router.ask(Kind::StartUser, name).text == "no delivery into a mailbox of root: name an alias for root in aliases(5)");
        CHECK(router.ask(Kind::StartUser, "wheel").text == "no delivery with the group of root");
        CHECK(router.ask(Kind::StartUser, "joe").status == Status::Ok);
    }
    for (const char* name : {"root", "toor", "wheel"}) {
        place.settings.default_user = name;
        CHECK(Router(place.settings).ask(Kind::StartFiles).status == Status::Refused);
    }
    // A mail spool of root's group would make that the group of every worker.
    ::chmod(place.settings.spool_directory.c_str(), 0775);
    CHECK(Router(place.settings).ask(Kind::StartUser, "joe").text == "no delivery with the group of root");

    place.settings.mode = Mode::Virtual;
    Router router(place.settings);
    CHECK(router.ask_ids(0, 12399).status == Status::Refused);
    CHECK(router.ask_ids(12399, 0).status == Status::Refused);
    place.settings.only_uid = 0; // not even when the configuration says so
    place.settings.only_gid = 0;
    place.settings.minimum_uid = 0;
    CHECK(Router(place.settings).ask_ids(0, 0).status == Status::Refused);
    place.settings.only_uid = 12399;
    CHECK(Router(place.settings).ask_ids(12399, 0).status == Status::Refused);
}

TEST_CASE("a process that becomes a user has no other group, and refuses the group of root")
{
    if (!is_root())
        return;
    for (const gid_t gid : {gid_t(12399), gid_t(0)}) {
        const pid_t child = ::fork();
        if (child == 0)
            ::_exit(become_user(12399, gid) && ::getgroups(0, nullptr) == 1 ? 0 : 1);
        int status = 0;
        REQUIRE(::waitpid(child, &status, 0) == child);
        CHECK(status == (gid == 0 ? 256 : 0));
    }
}

TEST_CASE("local's spawner starts nobody by number, and virtual's nobody by name")
{
    Hostile place(Mode::Local);
    Router local(place.settings);
    CHECK(local.ask_ids(place.uid, place.gid).status == Status::Refused);
    place.settings.mode = Mode::Virtual;
    Router by_tables(place.settings);
    CHECK(by_tables.ask(Kind::FindUser, place.user).status == Status::Refused);
    CHECK(by_tables.ask(Kind::StartUser, place.user).status == Status::Refused);
    CHECK(by_tables.ask(Kind::StartFiles).status == Status::Refused);
    CHECK(by_tables.ask_ids(place.uid, place.gid).status == Status::Ok);
}

TEST_CASE("ids for virtual mailboxes are those of static tables, else none below virtual_minimum_uid")
{
    if (!is_root())
        return;
    Hostile place(Mode::Virtual);
    place.settings.minimum_uid = 5000;
    {
        Router router(place.settings);
        CHECK(router.ask_ids(4999, 5000).status == Status::Refused);
        CHECK(router.ask_ids(5000, 4999).status == Status::Refused); // disk, shadow, ...
        CHECK(router.ask_ids(5000, 5000).status == Status::Ok);
    }
    if (const OwnUsers users(place, "vmail:x:5002:8::/:/bin/sh\n"); users.there) {
        Router router(place.settings);
        CHECK(router.ask_ids(5002, 8).status == Status::Ok); // the group that the user has anyway
        CHECK(router.ask_ids(5002, 9).status == Status::Refused);
        CHECK(router.ask_ids(5003, 8).status == Status::Refused);
    }
    place.settings.only_uid = 5001;
    place.settings.only_gid = 8; // mail: static tables may name a group of the system
    Router router(place.settings);
    CHECK(router.ask_ids(5000, 8).status == Status::Refused);
    CHECK(router.ask_ids(5001, 5001).status == Status::Refused);
    CHECK(router.ask_ids(5001, 8).status == Status::Ok);
}

TEST_CASE("a user's worker writes into that user's mailbox and nowhere else")
{
    Hostile place(Mode::Local);
    Router router(place.settings);
    const UniqueFd message = place.scratch.message(content);
    const std::string mailbox = place.at("spool/") + place.user;
    REQUIRE(router.ask(Kind::StartUser, place.user).status == Status::Ok);
    const std::string refused = ": this is not the user's mailbox";
    for (const std::string& path : {place.at("outside/m"), mailbox + "/../../outside/m", mailbox + "x", place.at("spool"),
                                    std::string("/"), std::string(), std::string("outside/m"), mailbox + "/sub"}) {
        CHECK(router.deliver(place.job(MailboxJob::Kind::Maildir, path), message.get()) ==
              "delivery worker: refused " + path + refused);
        CHECK(router.deliver(place.job(MailboxJob::Kind::File, path), message.get()).ends_with(refused));
    }
    CHECK(router.deliver(place.job(MailboxJob::Kind::Mbox, mailbox), message.get()).ends_with(refused));
    CHECK(router.deliver(place.job(MailboxJob::Kind::File, mailbox), message.get()).ends_with(refused));
    CHECK(place.files_outside() == 0);
    CHECK(place.scratch.names_in("spool").empty());
    CHECK(router.deliver(place.job(MailboxJob::Kind::Maildir, mailbox), message.get()) == "delivered");
}

TEST_CASE("home_mailbox is below the home that the user database names")
{
    if (!is_root())
        return;
    Hostile place(Mode::Local);
    const OwnUsers users(place, "joe:x:12399:12399::" + place.at("home") + ":/bin/sh\n");
    if (!users.there)
        return;
    place.settings.home_mailbox = "box";
    Router router(place.settings);
    const UniqueFd message = place.scratch.message(content);
    CHECK(router.ask(Kind::StartUser, "joe").mailbox == place.at("home/box"));
    CHECK(router.deliver(place.job(MailboxJob::Kind::Maildir, place.at("home/box")), message.get()).starts_with("delivery worker: refused"));
    CHECK(router.deliver(place.job(MailboxJob::Kind::Mbox, place.at("home/other")), message.get()).starts_with("delivery worker: refused"));
    CHECK(router.deliver(place.job(MailboxJob::Kind::Mbox, place.at("home/box")), message.get()) == "delivered");
    struct stat status;
    REQUIRE(::stat(place.at("home/box").c_str(), &status) == 0);
    CHECK(status.st_uid == 12399);
}

TEST_CASE("files of aliases are written as default_privs, and not at all where nothing may name them")
{
    Hostile place(Mode::Local);
    const UniqueFd message = place.scratch.message(content);
    {
        Router router(place.settings);
        const SpawnReply reply = router.ask(Kind::StartFiles, "root"); // a name makes no difference
        REQUIRE(reply.status == Status::Ok);
        CHECK(reply.uid == place.uid);
        for (const std::string& path : {place.at("spool/../outside/f"), std::string("f"), std::string()})
            CHECK(router.deliver(place.job(MailboxJob::Kind::File, path), message.get()) ==
                  "delivery worker: refused " + path + ": this is no file for an alias");
        // An mbox is checked for its owner, a file of an alias is not: that is for another worker.
        CHECK(router.deliver(place.job(MailboxJob::Kind::Mbox, place.at("outside/f")), message.get())
                  .starts_with("delivery worker: refused"));
        CHECK(place.files_outside() == 0);
        CHECK(router.deliver(place.job(MailboxJob::Kind::File, place.at("spool/f")), message.get()) == "delivered");
        struct stat status;
        REQUIRE(::stat(place.at("spool/f").c_str(), &status) == 0);
        CHECK(status.st_uid == place.uid);
    }
    place.settings.files_in_aliases = false;
    CHECK(Router(place.settings).ask(Kind::StartFiles).text == "mail to files is not permitted here");
    place.settings.files_in_includes = true;
    CHECK(Router(place.settings).ask(Kind::StartFiles).status == Status::Ok);
    place.settings.default_user = "no-such-user";
    CHECK(Router(place.settings).ask(Kind::StartFiles).text.starts_with("default_privs = no-such-user: "));
}

TEST_CASE("a worker for virtual mailboxes stays below virtual_mailbox_base")
{
    Hostile place(Mode::Virtual);
    Router router(place.settings);
    const UniqueFd message = place.scratch.message(content);
    REQUIRE(router.ask_ids(place.uid, place.gid).status == Status::Ok);
    const std::string base = place.at("base");
    for (const std::string& path : {place.at("outside/m"), base + "/../outside/m", base + "/d/../../outside/m", base + "-other/m",
                                    base, base + "/", base + "/..", std::string("/"), std::string("m"), std::string()})
        for (const auto kind : {MailboxJob::Kind::Maildir, MailboxJob::Kind::Mbox})
            CHECK(router.deliver(place.job(kind, path), message.get()) ==
                  "delivery worker: refused " + path + ": this is not below virtual_mailbox_base");
    CHECK(router.deliver(place.job(MailboxJob::Kind::File, base + "/f"), message.get()).starts_with("delivery worker: refused"));
    CHECK(place.files_outside() == 0);
    CHECK(place.scratch.names_in("base").empty());
    CHECK(router.deliver(place.job(MailboxJob::Kind::Maildir, base + "/d/..u"), message.get()) == "delivered");
    CHECK(router.deliver(place.job(MailboxJob::Kind::Mbox, base + "/box"), message.get()) == "delivered");
}

TEST_CASE("a link below virtual_mailbox_base leads only where the mailbox's owner may write")
{
    if (!is_root())
        return;
    Hostile place(Mode::Virtual);
    Router router(place.settings);
    const UniqueFd message = place.scratch.message(content);
    REQUIRE(router.ask_ids(12399, 12399).status == Status::Ok);
    ::chmod(place.at("outside").c_str(), 0755); // root's
    std::filesystem::create_symlink(place.at("outside"), place.at("base/link"));
    const std::string in_maildir = router.deliver(place.job(MailboxJob::Kind::Maildir, place.at("base/link/m")), message.get());
    CHECK(in_maildir == "create maildir " + place.at("base/link/m") + ": Permission denied");
    const std::string in_mbox = router.deliver(place.job(MailboxJob::Kind::Mbox, place.at("base/link/box")), message.get());
    CHECK(in_mbox == "cannot open " + place.at("base/link/box") + ": Permission denied");
    CHECK(place.files_outside() == 0);
}

TEST_CASE("a job that makes no sense is answered or ends its worker, and never delivered")
{
    Hostile place(Mode::Virtual);
    Router router(place.settings);
    const UniqueFd message = place.scratch.message(content);
    REQUIRE(router.ask_ids(place.uid, place.gid).status == Status::Ok);
    const MailboxJob job = place.job(MailboxJob::Kind::Maildir, place.at("base/m"));
    CHECK(router.deliver(job, -1) == "delivery worker: a job without its message");
    auto garbage = MailboxResult::decode(exchange(router.worker.get(), "garbage", message.get(), nullptr));
    REQUIRE(garbage);
    CHECK(garbage->text == "delivery worker: malformed job");
    int pipe_ends[2];
    REQUIRE(::pipe(pipe_ends) == 0);
    const UniqueFd read_end(pipe_ends[0]);
    const UniqueFd write_end(pipe_ends[1]);
    CHECK(router.deliver(job, read_end.get()).find("cannot read the queue file") != std::string::npos);
    CHECK(place.scratch.names_in("base/m/new").empty());
    CHECK(router.deliver(job, message.get()) == "delivered");
}
