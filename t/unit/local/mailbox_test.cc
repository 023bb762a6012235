#include "local/maildir.h"
#include "local/mbox.h"
#include "local/message_copy.h"

#include "t/support/catch.h"
#include "t/unit/local/fixture.h"

#include <csignal>
#include <fstream>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

using namespace posthouse;
using namespace posthouse::local;
using test::Scratch;
using Status = MailboxResult::Status;

namespace {
const std::string content = "Subject: x\r\n\r\nFrom me\r\n.dot\r\n";
}

TEST_CASE("a Maildir is made when missing, and the message in new/ carries its sizes in its name")
{
    Scratch scratch;
    MaildirSet maildirs;
    const auto job = scratch.job(MailboxJob::Kind::Maildir, "home/joe/Maildir", content);
    const auto result = maildirs.deliver(job, scratch.rules, scratch.message(content).get());
    CHECK(result.text == "delivered to maildir");
    REQUIRE(result.status == Status::Delivered);
    const auto names = scratch.names_in("home/joe/Maildir/new");
    REQUIRE(names.size() == 1);
    const std::string text = scratch.read("home/joe/Maildir/new/" + names[0]);
    CHECK(text == "Return-Path: <a@b>\nDelivered-To: c@d\nSubject: x\n\nFrom me\n.dot\n");
    CHECK(names[0].find(cat(".test.example,S=", text.size(), ",W=", text.size() + 6)) != std::string::npos);
    CHECK(scratch.names_in("home/joe/Maildir/tmp").empty());
    struct stat status;
    REQUIRE(::stat((scratch.directory + "/home/joe/Maildir/new/" + names[0]).c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
}

TEST_CASE("many deliveries into one Maildir at a time all arrive, under different names")
{
    Scratch scratch;
    MaildirSet maildirs;
    const auto job = scratch.job(MailboxJob::Kind::Maildir, "m", content);
    const UniqueFd message = scratch.message(content);
    std::vector<std::thread> threads;
    std::atomic<int> delivered{0};
    for (int i = 0; i < 8; ++i)
        threads.emplace_back([&] {
            for (int n = 0; n < 20; ++n)
                delivered += maildirs.deliver(job, scratch.rules, message.get()).status == Status::Delivered;
        });
    for (auto& thread : threads)
        thread.join();
    CHECK(delivered == 160);
    CHECK(scratch.names_in("m/new").size() == 160);
}

TEST_CASE("a Maildir that was moved away and made anew gets the next message")
{
    Scratch scratch;
    MaildirSet maildirs(2);
    const auto job = scratch.job(MailboxJob::Kind::Maildir, "m", content);
    const UniqueFd message = scratch.message(content);
    REQUIRE(maildirs.deliver(job, scratch.rules, message.get()).status == Status::Delivered);
    std::filesystem::rename(scratch.directory + "/m", scratch.directory + "/old");
    REQUIRE(maildirs.deliver(job, scratch.rules, message.get()).status == Status::Delivered);
    CHECK(scratch.names_in("m/new").size() == 1);
    std::filesystem::remove_all(scratch.directory + "/m");
    CHECK(maildirs.deliver(job, scratch.rules, message.get()).status == Status::Delivered);
    CHECK(scratch.names_in("m/new").size() == 1);
}

TEST_CASE("a symbolic link in place of new or tmp is refused")
{
    Scratch scratch;
    std::filesystem::create_directories(scratch.directory + "/m/tmp");
    std::filesystem::create_directories(scratch.directory + "/elsewhere");
    std::filesystem::create_symlink(scratch.directory + "/elsewhere", scratch.directory + "/m/new");
    MaildirSet maildirs;
    const auto result =
        maildirs.deliver(scratch.job(MailboxJob::Kind::Maildir, "m", content), scratch.rules, scratch.message(content).get());
    CHECK(result.status == Status::Deferred);
    CHECK(scratch.names_in("elsewhere").empty());
    CHECK(scratch.names_in("m/tmp").empty());
}

TEST_CASE("a message above the size limit fails, a queue file that is too short defers")
{
    Scratch scratch;
    MaildirSet maildirs;
    auto job = scratch.job(MailboxJob::Kind::Maildir, "m", content);
    scratch.rules.size_limit = 10;
    const auto large = maildirs.deliver(job, scratch.rules, scratch.message(content).get());
    CHECK(large.status == Status::Failed);
    CHECK(large.dsn == "5.2.3");
    scratch.rules.size_limit = 0;
    job.content.size += 1000;
    CHECK(maildirs.deliver(job, scratch.rules, scratch.message(content).get()).status == Status::Deferred);
    CHECK(scratch.names_in("m/new").empty());
    CHECK(scratch.names_in("m/tmp").empty());
}

TEST_CASE("a Maildir whose disk is full keeps no part of the message")
{
    Scratch scratch;
    MaildirSet maildirs;
    const std::string large(300000, 'x');
    const UniqueFd message = scratch.message(large);
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit old;
    ::getrlimit(RLIMIT_FSIZE, &old);
    const rlimit small = {100000, old.rlim_max}; // stands for the full disk
    ::setrlimit(RLIMIT_FSIZE, &small);
    const auto result = maildirs.deliver(scratch.job(MailboxJob::Kind::Maildir, "m", large), scratch.rules, message.get());
    ::setrlimit(RLIMIT_FSIZE, &old);
    CHECK(result.status == Status::Deferred);
    CHECK(result.dsn == "4.2.2");
    CHECK(scratch.names_in("m/new").empty());
    CHECK(scratch.names_in("m/tmp").empty());
}

TEST_CASE("an mbox gets a From line, quoted text and an empty line at the end, message after message")
{
    Scratch scratch;
    const auto job = scratch.job(MailboxJob::Kind::Mbox, "box", content);
    CHECK(deliver_to_mbox(job, scratch.rules, scratch.message(content).get()).text == "delivered to mailbox");
    const std::string once = scratch.read("box");
    CHECK(once.find("From a@b  ") == 0);
    CHECK(once.ends_with("Delivered-To: c@d\nSubject: x\n\n>From me\n.dot\n\n"));
    REQUIRE(deliver_to_mbox(job, scratch.rules, scratch.message(content).get()).status == Status::Delivered);
    CHECK(scratch.read("box").size() == 2 * once.size());
    CHECK(scratch.names_in("").size() == 3); // the box and two queue files: no lock is left
}

TEST_CASE("an mbox is cut back to its old length when the message cannot be written in full")
{
    Scratch scratch;
    auto job = scratch.job(MailboxJob::Kind::Mbox, "box", content);
    REQUIRE(deliver_to_mbox(job, scratch.rules, scratch.message(content).get()).status == Status::Delivered);
    const std::string before = scratch.read("box");
    job.content.size += 1000; // the queue file ends too early
    CHECK(deliver_to_mbox(job, scratch.rules, scratch.message(content).get()).status == Status::Deferred);
    CHECK(scratch.read("box") == before);

    // The file size limit stands for a full disk.
    ::signal(SIGXFSZ, SIG_IGN);
    rlimit old;
    ::getrlimit(RLIMIT_FSIZE, &old);
    const std::string large(300000, 'x');
    const UniqueFd message = scratch.message(large);
    const rlimit small = {before.size() + 1000, old.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &small);
    const auto result = deliver_to_mbox(scratch.job(MailboxJob::Kind::Mbox, "box", large), scratch.rules, message.get());
    ::setrlimit(RLIMIT_FSIZE, &old);
    CHECK(result.status == Status::Deferred);
    CHECK(result.dsn == "4.2.2");
    CHECK(scratch.read("box") == before);
}

TEST_CASE("a full mbox defers, so that nothing is lost")
{
    Scratch scratch;
    const auto job = scratch.job(MailboxJob::Kind::Mbox, "box", content);
    scratch.rules.size_limit = 20;
    const auto result = deliver_to_mbox(job, scratch.rules, scratch.message(content).get());
    CHECK(result.status == Status::Deferred);
    CHECK(result.dsn == "4.2.2");
}

TEST_CASE("a mailbox that is a link, has two names, is executable or no file is refused")
{
    Scratch scratch;
    const UniqueFd message = scratch.message(content);
    const auto at = [&](const std::string& name) { return scratch.directory + "/" + name; };
    std::ofstream(at("target")) << "precious";
    std::filesystem::create_symlink(at("target"), at("link"));
    std::ofstream(at("twin"));
    std::filesystem::create_hard_link(at("twin"), at("twin2"));
    std::ofstream(at("program"));
    ::chmod(at("program").c_str(), 0700);
    std::filesystem::create_directory(at("directory"));
    ::mkfifo(at("fifo").c_str(), 0600);
    for (const char* name : {"link", "twin", "program", "directory", "fifo"}) {
        const auto result = deliver_to_mbox(scratch.job(MailboxJob::Kind::Mbox, name, content), scratch.rules, message.get());
        INFO(name);
        CHECK(result.status == Status::Deferred);
        if (name == std::string_view("link"))
            CHECK(result.text.find("/link, a symbolic link, which is not followed") != std::string::npos);
    }
    CHECK(scratch.read("target") == "precious");
}

TEST_CASE("a mailbox of somebody else is refused unless strict_mailbox_ownership is off")
{
    if (::geteuid() != 0) {
        WARN("needs root to make another user's file: skipped");
        return;
    }
    Scratch scratch;
    std::ofstream(scratch.directory + "/box");
    REQUIRE(::chown((scratch.directory + "/box").c_str(), 12345, 12345) == 0);
    auto job = scratch.job(MailboxJob::Kind::Mbox, "box", content);
    CHECK(deliver_to_mbox(job, scratch.rules, scratch.message(content).get()).text.find("not owned") != std::string::npos);
    scratch.rules.strict_ownership = false;
    CHECK(deliver_to_mbox(job, scratch.rules, scratch.message(content).get()).status == Status::Delivered);
}

TEST_CASE("locks of others are respected, and a stale dot lock is removed")
{
    Scratch scratch;
    auto job = scratch.job(MailboxJob::Kind::Mbox, "box", content);
    const UniqueFd message = scratch.message(content);
    std::ofstream(scratch.directory + "/box.lock");
    CHECK(deliver_to_mbox(job, scratch.rules, message.get()).status == Status::Locked);
    timespec old[2] = {{1000000000, 0}, {1000000000, 0}};
    ::utimensat(AT_FDCWD, (scratch.directory + "/box.lock").c_str(), old, 0);
    CHECK(deliver_to_mbox(job, scratch.rules, message.get()).status == Status::Delivered);
    CHECK(scratch.read("box.lock") == "(none)");

    const UniqueFd reader(::open((scratch.directory + "/box").c_str(), O_RDWR));
    struct flock range = {};
    range.l_type = F_WRLCK;
    REQUIRE(::fcntl(reader.get(), F_OFD_SETLK, &range) == 0);
    CHECK(deliver_to_mbox(job, scratch.rules, message.get()).status == Status::Locked);
}

TEST_CASE("deliveries into one mbox at a time do not mix")
{
    Scratch scratch;
    const auto job = scratch.job(MailboxJob::Kind::Mbox, "box", content);
    const UniqueFd message = scratch.message(content);
    REQUIRE(deliver_to_mbox(job, scratch.rules, message.get()).status == Status::Delivered);
    const size_t size = scratch.read("box").size();
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; ++i)
        threads.emplace_back([&] {
            for (int n = 0; n < 5; ++n)
                while (deliver_to_mbox(job, scratch.rules, message.get()).status == Status::Locked)
                    ::usleep(1000);
        });
    for (auto& thread : threads)
        thread.join();
    const std::string box = scratch.read("box");
    CHECK(box.size() == 21 * size);
    size_t ends = 0;
    for (size_t at = box.find(".dot\n\n"); at != std::string::npos; at = box.find(".dot\n\n", at + 1))
        ++ends;
    CHECK(ends == 21);
}

TEST_CASE("an alias may throw mail away into /dev/null")
{
    Scratch scratch;
    auto job = scratch.job(MailboxJob::Kind::File, "x", content);
    job.path = "/dev/null";
    CHECK(deliver_to_mbox(job, scratch.rules, scratch.message(content).get()).text == "delivered to file: /dev/null");
}

TEST_CASE("a missing directory, no space and no quota are told apart for the one who waits")
{
    CHECK(system_failure("x", ENOSPC).dsn == "4.3.1");
    CHECK(system_failure("x", EDQUOT).dsn == "4.2.2");
    CHECK(system_failure("x", EACCES).dsn == "4.2.0");
    CHECK(system_failure("write", EACCES).text == "write: Permission denied");
}

TEST_CASE("content that does not agree with its checksum is never delivered, and the reason says so")
{
    Scratch scratch;
    MaildirSet maildirs;
    std::string damaged = content;
    damaged[12] ^= 1;
    const UniqueFd message = scratch.message(damaged); // what the disk gives back
    const char* reason = "damaged queue file: the content does not agree with its checksum";

    const auto in_maildir = maildirs.deliver(scratch.job(MailboxJob::Kind::Maildir, "m", content), scratch.rules, message.get());
    CHECK(in_maildir.status == Status::Deferred);
    CHECK(in_maildir.text.find(reason) != std::string::npos);
    CHECK(scratch.names_in("m/new").empty());
    CHECK(scratch.names_in("m/tmp").empty());

    const auto job = scratch.job(MailboxJob::Kind::Mbox, "box", content);
    REQUIRE(deliver_to_mbox(job, scratch.rules, scratch.message(content).get()).status == Status::Delivered);
    const std::string before = scratch.read("box");
    const auto in_mbox = deliver_to_mbox(job, scratch.rules, message.get());
    CHECK(in_mbox.status == Status::Deferred);
    CHECK(in_mbox.dsn == "4.3.0");
    CHECK(in_mbox.text.find(reason) != std::string::npos);
    CHECK(scratch.read("box") == before);
}

TEST_CASE("an mbox that a crash left with half a message gets the next one on a line of its own")
{
    Scratch scratch;
    const auto job = scratch.job(MailboxJob::Kind::Mbox, "box", content);
    for (const char* left : {"From x@y  Sun Nov 22 03:38:01 2026\nSubject: ha", "From x@y  Sun Nov 22 03:38:01 2026\n\nha\n"}) {
        std::ofstream(scratch.directory + "/box") << left;
        REQUIRE(deliver_to_mbox(job, scratch.rules, scratch.message(content).get()).status == Status::Delivered);
        const std::string box = scratch.read("box");
        CHECK(box.starts_with(left));
        CHECK(box.find("\n\nFrom a@b  ") != std::string::npos);
        CHECK(box.find("\n\n\nFrom a@b  ") == std::string::npos);
    }
}

TEST_CASE("no sender can put a line of its own before the header of a message in an mbox")
{
    Scratch scratch;
    auto job = scratch.job(MailboxJob::Kind::Mbox, "box", content);
    job.sender = "a\nFrom b@c";
    REQUIRE(deliver_to_mbox(job, scratch.rules, scratch.message(content).get()).status == Status::Delivered);
    CHECK(scratch.read("box").starts_with("From a-From-b@c  "));
}

TEST_CASE("flock is used where mailbox_delivery_lock names it, and a lock that nobody asked for is not taken")
{
    Scratch scratch;
    const auto job = scratch.job(MailboxJob::Kind::Mbox, "box", content);
    const UniqueFd message = scratch.message(content);
    scratch.rules.locks = MailboxRules::LockFlock;
    REQUIRE(deliver_to_mbox(job, scratch.rules, message.get()).status == Status::Delivered);
    const UniqueFd reader(::open((scratch.directory + "/box").c_str(), O_RDWR));
    REQUIRE(::flock(reader.get(), LOCK_EX) == 0);
    CHECK(deliver_to_mbox(job, scratch.rules, message.get()).status == Status::Locked);
    std::ofstream(scratch.directory + "/box.lock");
    scratch.rules.locks = MailboxRules::LockFcntl;
    CHECK(deliver_to_mbox(job, scratch.rules, message.get()).status == Status::Delivered);
}
