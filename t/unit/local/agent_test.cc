// The whole agent against a made-up qmgr: real spawner, real workers, real mailboxes.
#include "local/agent_session.h"
#include "local/local_delivery.h"
#include "local/spawner.h"
#include "local/virtual_delivery.h"

#include "lib/config/config.h"
#include "lib/log/log.h"

#include "t/support/catch.h"
#include "t/support/run_task.h"
#include "t/unit/local/fixture.h"

#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

using namespace posthouse;
using namespace posthouse::local;
using queue::DeliveryStatus;

namespace {

const std::string content = "Subject: x\r\n\r\ntext\r\n";

// The user to deliver as: another one for root, else ourselves.
uint32_t test_uid() { return ::geteuid() == 0 ? 12345 : ::geteuid(); }
uint32_t test_gid() { return ::geteuid() == 0 ? 12345 : ::getegid(); }

class Agent {
public:
    explicit Agent(Mode mode = Mode::Virtual) : pool(loop, 2)
    {
        settings.mode = mode;
        settings.host_name = "ours.example";
        settings.origin = "ours.example";
        settings.delimiters = "+";
        settings.minimum_uid = ::geteuid() == 0 ? 100 : 1;
        settings.virtual_base = scratch.directory + "/v";
        settings.worker_threads = 4;
        settings.rules.host_name = "ours.example";
        settings.rules.locks = MailboxRules::LockFcntl;
        std::filesystem::create_directory(settings.virtual_base);
        ::chmod(scratch.directory.c_str(), 0755);
        if (::geteuid() == 0)
            REQUIRE(::chown(settings.virtual_base.c_str(), test_uid(), test_gid()) == 0);
        const passwd* entry = ::geteuid() == 0 ? ::getpwnam("nobody") : ::getpwuid(::geteuid());
        REQUIRE(entry);
        user = entry->pw_name;
        settings.spool_directory = scratch.directory + "/spool/";
        settings.default_user = user;
        std::filesystem::create_directory(settings.spool_directory);
        ::chmod(settings.spool_directory.c_str(), 01777);
        auto started = start_spawner(settings);
        REQUIRE(started);
        workers = std::make_unique<WorkerPool>(loop, std::move(*started), Duration::seconds(10), settings.worker_threads);
    }
    std::unique_ptr<RecipientDelivery> virtual_delivery(const std::string& mailboxes, const std::string& uid)
    {
        table::Context context(loop, pool);
        context.recipient_delimiter = "+";
        VirtualTables tables;
        tables.mailboxes = std::move(*table::AddressMaps::open("virtual_mailbox_maps", mailboxes, context, nullptr));
        tables.uids = std::move(*table::AddressMaps::open("virtual_uid_maps", uid, context, nullptr));
        tables.gids = std::move(*table::AddressMaps::open("virtual_gid_maps", cat("static:", test_gid()), context, nullptr));
        return std::make_unique<VirtualDelivery>(settings, std::move(tables), MailboxDelivery(settings, *workers));
    }
    queue::DeliveryRequest request(const std::vector<std::string>& recipients, const std::string& text = content)
    {
        queue::DeliveryRequest made;
        made.serial = ++serial;
        made.envelope.id = "4TestQueueId";
        made.envelope.sender = "sender@else.example";
        for (const std::string& recipient : recipients) {
            made.indexes.push_back(static_cast<uint32_t>(made.indexes.size()));
            made.envelope.recipients.emplace_back(recipient);
        }
        made.content = test::Scratch::content_info(text);
        made.file = scratch.message(text);
        return made;
    }
    queue::DeliveryDone run(RecipientDelivery& delivery, queue::DeliveryRequest request)
    {
        int ends[2];
        REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
        AgentSession session(loop, pool, delivery, "virtual", UniqueFd(ends[1]));
        ipc::Channel qmgr(loop, UniqueFd(ends[0]));
        TaskGroup group(loop);
        group.spawn(session.run());
        const Deadline soon = Deadline::after(Duration::seconds(10));
        auto hello = test::run_task(loop, qmgr.receive(soon));
        REQUIRE(hello);
        CHECK(queue::AgentHello::from_frame(*hello)->max_concurrent > 0);
        REQUIRE(qmgr.post(std::move(request).to_frame()));
        auto frame = test::run_task(loop, qmgr.receive(soon));
        std::vector<queue::RecipientOutcome> ahead;
        for (; frame && frame->type == queue::RecipientOutcome::type; frame = test::run_task(loop, qmgr.receive(soon)))
            ahead.push_back(*queue::RecipientOutcome::from_frame(*frame));
        REQUIRE(frame);
        auto done = queue::DeliveryDone::from_frame(*frame);
        REQUIRE(done);
        done->outcomes.insert(done->outcomes.begin(), ahead.begin(), ahead.end());
        session.drain();
        frame = test::run_task(loop, qmgr.receive(soon));
        REQUIRE(frame);
        CHECK(queue::AgentLeaving::from_frame(*frame));
        ::shutdown(qmgr.fd(), SHUT_RDWR);
        test::run_task(loop, wait_for(group));
        return std::move(*done);
    }
    static Task<void> wait_for(TaskGroup& group) { co_await group.drained(); }

    Loop loop;
    ThreadPool pool;
    test::Scratch scratch;
    std::string user; // whom local can deliver to
    Settings settings;
    std::unique_ptr<WorkerPool> workers;
    uint64_t serial = 0;
};

std::string one(Agent& agent, RecipientDelivery& delivery, const std::string& recipient, const std::string& text = content)
{
    const auto done = agent.run(delivery, agent.request({recipient}, text));
    REQUIRE(done.outcomes.size() == 1);
    const auto& outcome = done.outcomes[0];
    const char* status = outcome.status == DeliveryStatus::Delivered  ? "sent"
                         : outcome.status == DeliveryStatus::Deferred ? "deferred"
                                                                      : "bounced";
    return cat(status, ' ', outcome.dsn, ' ', outcome.text);
}

// The queue that forwards go to: in memory.
class Forwards final : public queue::MessageSource {
public:
    struct Message {
        std::string content;
        mail::Envelope envelope;
    };
    Task<Result<std::unique_ptr<queue::NewMessage>>> begin(Deadline) override
    {
        if (broken)
            co_return Error(ErrorKind::Temporary, "4.3.0", "no queue");
        std::unique_ptr<queue::NewMessage> made = std::make_unique<InMemory>(*this);
        co_return std::move(made);
    }
    std::vector<Message> messages;
    bool broken = false;

private:
    class InMemory final : public queue::NewMessage {
    public:
        explicit InMemory(Forwards& queue) : queue_(queue) {}
        const std::string& id() const override { return id_; }
        int64_t arrival_us() const override { return 1; }
        uint64_t size() const override { return content_.size(); }
        Task<Result<void>> append(std::string_view piece) override
        {
            content_ += piece;
            co_return Result<void>();
        }
        Task<Result<void>> commit(mail::Envelope envelope, smtp::ContentFacts, Deadline) override
        {
            queue_.messages.push_back({content_, std::move(envelope)});
            co_return Result<void>();
        }

    private:
        Forwards& queue_;
        std::string id_ = "4Forwarded";
        std::string content_;
    };
};

// The path of a file that the agent's user may write to.
std::string agent_file(const Agent& agent, const std::string& name)
{
    return cat(agent.settings.spool_directory, name);
}

// local with these aliases; mailboxes are Maildirs below "spool". The user is `user`.
class LocalAgent : public Agent {
public:
    explicit LocalAgent(const std::string& aliases) : Agent(Mode::Local)
    {
        std::vector<config::Fault> faults;
        auto parsed = config::Config::parse("myhostname = ours.example\nmydestination = ours.example\n"
                                            "inet_interfaces = loopback-only\n", config::Overrides(), faults);
        REQUIRE(parsed);
        config = std::move(*parsed);
        const table::Context context(loop, pool, *config);
        auto tables = queue::IntakeTables::open(*config, context);
        REQUIRE(tables);
        intake = std::move(*tables);
        auto maps = table::Maps::open("alias_maps", aliases, context);
        REQUIRE(maps);
        delivery = std::make_unique<LocalDelivery>(settings, std::move(*maps), is_ours, MailboxDelivery(settings, *workers),
                                                   Forwarder(settings, *intake, forwards, pool), pool);
    }
    static Task<Result<bool>> is_ours(std::string domain) { co_return domain == "ours.example"; }

    Forwards forwards;
    std::unique_ptr<config::Config> config;
    std::unique_ptr<queue::IntakeTables> intake;
    std::unique_ptr<LocalDelivery> delivery;
};

} // namespace

TEST_CASE("local delivers to a user, by an alias too, and returns what is neither")
{
    LocalAgent agent("inline:{postmaster=nobody-else, {root=/dev/null}}");
    CHECK(one(agent, *agent.delivery, agent.user + "+ext@ours.example") == "sent 2.0.0 delivered to maildir");
    CHECK(agent.scratch.names_in("spool/" + agent.user + "/new").size() == 1);
    CHECK(one(agent, *agent.delivery, "no-such-user@ours.example") == "bounced 5.1.1 unknown user: \"no-such-user\"");
    CHECK(one(agent, *agent.delivery, "postmaster@ours.example") == "bounced 5.1.1 unknown user: \"nobody-else\"");
    CHECK(one(agent, *agent.delivery, "root@ours.example") == "sent 2.0.0 delivered to file: /dev/null");
    LocalAgent by_alias("inline:{postmaster=" + agent.user + "}");
    CHECK(one(by_alias, *by_alias.delivery, "postmaster@ours.example") == "sent 2.0.0 delivered to maildir");
    CHECK(by_alias.forwards.messages.empty());
}

TEST_CASE("an alias for several becomes one message for all of them, with a Delivered-To against loops")
{
    LocalAgent agent("inline:{{all=ann, x@else.example, bob}}");
    auto request = agent.request({"all@ours.example"});
    request.envelope.recipients[0].notify = mail::NotifySuccess;
    const auto done = agent.run(*agent.delivery, std::move(request));
    REQUIRE(done.outcomes.size() == 1);
    CHECK(done.outcomes[0].text == "forwarded as 4Forwarded");
    CHECK(done.outcomes[0].action == queue::DeliveryAction::Expanded);
    REQUIRE(agent.forwards.messages.size() == 1);
    const auto& message = agent.forwards.messages[0];
    CHECK(message.content.find("Received: by ours.example (") == 0);
    CHECK(message.content.find("\r\nDelivered-To: all@ours.example\r\n") != std::string::npos);
    CHECK(message.content.ends_with("Subject: x\r\n\r\ntext\r\n"));
    CHECK(message.envelope.sender == "sender@else.example");
    REQUIRE(message.envelope.recipients.size() == 3);
    CHECK(message.envelope.recipients[0].original == "all@ours.example");
    CHECK(message.envelope.recipients[0].notify == mail::NotifyNever);
    CHECK(one(agent, *agent.delivery, "all@ours.example", "Delivered-To: all@ours.example\r\n\r\n").find("bounced 5.4.6") == 0);
}

TEST_CASE("a list's owner becomes the sender and ends the sender's wishes")
{
    LocalAgent agent("inline:{{list=ann, bob}, owner-list=joe}");
    auto request = agent.request({"list@ours.example"});
    request.envelope.recipients[0].notify = mail::NotifySuccess;
    request.envelope.envid = "id";
    agent.run(*agent.delivery, std::move(request));
    REQUIRE(agent.forwards.messages.size() == 1);
    CHECK(agent.forwards.messages[0].envelope.sender == "owner-list@ours.example");
    CHECK(agent.forwards.messages[0].envelope.envid.empty());
    CHECK(agent.forwards.messages[0].envelope.recipients[0].notify == mail::NotifyDefault);
}

TEST_CASE("an alias that keeps a copy gives the user's own mailbox a recipient that no alias catches")
{
    LocalAgent probe("inline:{a=b}");
    LocalAgent agent("inline:{{" + probe.user + "=" + probe.user + ", x@else.example}}");
    CHECK(one(agent, *agent.delivery, agent.user + "@ours.example") == "sent 2.0.0 forwarded as 4Forwarded");
    const auto& recipients = agent.forwards.messages.at(0).envelope.recipients;
    REQUIRE(recipients.size() == 2);
    CHECK(recipients[0].address == "\"\\\\" + agent.user + "\"@ours.example");
    CHECK(one(agent, *agent.delivery, recipients[0].address) == "sent 2.0.0 delivered to maildir");
    CHECK(agent.forwards.messages.size() == 1);
}

TEST_CASE("each end of an alias has its own fate: none waits for another one, none is repeated for another one")
{
    LocalAgent probe("inline:{a=b}");
    const std::string file = agent_file(probe, "file");
    LocalAgent agent("inline:{{all=no-such-user, \"|/bin/sort -u\", " + file + ", x@else.example}, owner-all=joe}");
    CHECK(one(agent, *agent.delivery, "all@ours.example") == "sent 2.0.0 forwarded as 4Forwarded");
    REQUIRE(agent.forwards.messages.size() == 1);
    const mail::Envelope envelope = agent.forwards.messages[0].envelope;
    CHECK(envelope.sender == "owner-all@ours.example"); // who gets what is returned
    REQUIRE(envelope.recipients.size() == 4);
    CHECK(one(agent, *agent.delivery, envelope.recipients[0].address).starts_with("bounced 5.1.1 "));
    CHECK(one(agent, *agent.delivery, envelope.recipients[1].address) ==
          "deferred 4.3.3 delivery to commands is not available: |/bin/sort -u");
    CHECK(envelope.recipients[2].address == "\"all:" + file + "\"@ours.example");
    CHECK(one(agent, *agent.delivery, envelope.recipients[2].address) == "sent 2.0.0 delivered to file: " + file);
    CHECK(one(agent, *agent.delivery, envelope.recipients[2].address) == "sent 2.0.0 delivered to file: " + file);
    CHECK(envelope.recipients[3].address == "x@else.example");
    CHECK(agent.forwards.messages.size() == 1);
}

TEST_CASE("nobody can address a file that no alias leads to")
{
    LocalAgent agent("inline:{{all=/dev/null, x@else.example}}");
    CHECK(one(agent, *agent.delivery, "\"all:/etc/passwd\"@ours.example").starts_with("bounced 5.1.1 "));
    CHECK(one(agent, *agent.delivery, "\"/etc/passwd\"@ours.example").starts_with("bounced 5.1.1 "));
    CHECK(one(agent, *agent.delivery, "\"nothing:/dev/null\"@ours.example").starts_with("bounced 5.1.1 "));
    CHECK(one(agent, *agent.delivery, "\"all:/dev/null\"@ours.example") == "sent 2.0.0 delivered to file: /dev/null");
}

TEST_CASE("a queue out of reach leaves an alias for several undone as a whole")
{
    LocalAgent agent("inline:{{all=/dev/null, x@else.example}}");
    agent.forwards.broken = true;
    CHECK(one(agent, *agent.delivery, "all@ours.example").starts_with("deferred 4.3.0 "));
}

TEST_CASE("damaged content is neither delivered nor forwarded")
{
    LocalAgent agent("inline:{r=x@else.example}");
    for (const std::string& recipient : {agent.user + "@ours.example", std::string("r@ours.example")}) {
        auto request = agent.request({recipient});
        request.content.crc32c ^= 1;
        const auto done = agent.run(*agent.delivery, std::move(request));
        CHECK(done.outcomes.at(0).status == DeliveryStatus::Deferred);
        CHECK(done.outcomes[0].text.find("the content does not agree with its checksum") != std::string::npos);
    }
    CHECK(agent.forwards.messages.empty());
    CHECK(agent.scratch.names_in("spool/" + agent.user + "/new").empty());
}

TEST_CASE("commands wait in the queue, files in include lists are refused, a queue out of reach defers")
{
    LocalAgent agent("inline:{{c=\"|/bin/true\"}, {i=:include:/dev/nothing}, r=x@else.example}");
    CHECK(one(agent, *agent.delivery, "c@ours.example").find("deferred 4.3.3 ") == 0);
    CHECK(one(agent, *agent.delivery, "i@ours.example").find("deferred 4.2.4 ") == 0);
    agent.forwards.broken = true;
    CHECK(one(agent, *agent.delivery, "r@ours.example").find("deferred 4.3.0 ") == 0);
    LocalAgent failing("fail:x");
    CHECK(one(failing, *failing.delivery, failing.user + "@ours.example").find("deferred 4.3.0 ") == 0);
}

TEST_CASE("luser_relay takes mail for names that nobody has")
{
    LocalAgent agent("inline:{a=b}");
    agent.settings.luser_relay = "$user@else.example";
    CHECK(one(agent, *agent.delivery, "no-such-user+x@ours.example") == "sent 2.0.0 forwarded as 4Forwarded");
    CHECK(agent.forwards.messages.at(0).envelope.recipients.at(0).address == "no-such-user@else.example");
}

TEST_CASE("nothing is delivered as root")
{
    if (::geteuid() != 0) {
        WARN("needs root: skipped");
        return;
    }
    LocalAgent agent("inline:{a=b}");
    CHECK(one(agent, *agent.delivery, "root@ours.example").find("deferred 4.3.5 no delivery into a mailbox of root") == 0);
}

TEST_CASE("virtual delivers into the Maildir and the mbox of its tables, as the user of its tables")
{
    Agent agent;
    auto delivery = agent.virtual_delivery("inline:{u@v.example=v.example/u/, m@v.example=m.box}", cat("static:", test_uid()));
    CHECK(one(agent, *delivery, "U+ext@v.example") == "sent 2.0.0 delivered to maildir");
    CHECK(one(agent, *delivery, "m@v.example") == "sent 2.0.0 delivered to mailbox");
    const auto names = agent.scratch.names_in("v/v.example/u/new");
    REQUIRE(names.size() == 1);
    const std::string text = agent.scratch.read("v/v.example/u/new/" + names[0]);
    CHECK(text == "Return-Path: <sender@else.example>\nDelivered-To: U+ext@v.example\nSubject: x\n\ntext\n");
    struct stat status;
    REQUIRE(::stat((agent.scratch.directory + "/v/v.example/u/new/" + names[0]).c_str(), &status) == 0);
    CHECK(status.st_uid == test_uid());
    CHECK(status.st_gid == test_gid());
    CHECK(agent.workers->workers() == 1);
}

TEST_CASE("virtual refuses low ids and crooked paths, returns unknown users, and notices loops")
{
    Agent agent;
    const std::string uid = cat("static:", test_uid());
    auto delivery = agent.virtual_delivery("inline:{u@v=u/, c@v=../c/}", uid);
    CHECK(one(agent, *delivery, "x@v") == "bounced 5.1.1 unknown user: \"x@v\"");
    CHECK(one(agent, *delivery, "c@v").find("deferred 4.3.5 bad mailbox path") == 0);
    CHECK(one(agent, *delivery, "u@v", "Delivered-To: U@v\r\n\r\n").find("bounced 5.4.6 ") == 0);
    CHECK(one(agent, *agent.virtual_delivery("static:u/", "static:0"), "u@v").find("deferred 4.3.5 ") == 0);
    CHECK(one(agent, *agent.virtual_delivery("static:u/", "static:nobody"), "u@v").find("deferred 4.3.5 ") == 0);
    CHECK(one(agent, *agent.virtual_delivery("static:u/", "inline:{x=1}"), "u@v").find("deferred 4.3.5 ") == 0);
    CHECK(one(agent, *agent.virtual_delivery("fail:x", uid), "u@v").find("deferred 4.3.0 ") == 0);
}

TEST_CASE("many recipients of one message are delivered beside each other")
{
    Agent agent;
    auto delivery = agent.virtual_delivery("inline:{@v=all/}", cat("static:", test_uid()));
    std::vector<std::string> recipients;
    for (int i = 0; i < 300; ++i)
        recipients.push_back(cat("u", i, "@v"));
    const auto done = agent.run(*delivery, agent.request(recipients));
    REQUIRE(done.outcomes.size() == 300);
    for (const auto& outcome : done.outcomes)
        CHECK(outcome.status == DeliveryStatus::Delivered);
    CHECK(agent.scratch.names_in("v/all/new").size() == 300);
}

TEST_CASE("a locked mbox is tried again, and jobs for one mbox wait for each other without locks")
{
    Agent agent;
    agent.settings.lock_delay = Duration::milliseconds(20);
    agent.settings.lock_attempts = 3;
    auto delivery = agent.virtual_delivery("inline:{@v=box}", cat("static:", test_uid()));
    std::vector<std::string> recipients;
    for (int i = 0; i < 40; ++i)
        recipients.push_back(cat("u", i, "@v"));
    const auto done = agent.run(*delivery, agent.request(recipients));
    for (const auto& outcome : done.outcomes)
        CHECK(outcome.text == "delivered to mailbox");

    const UniqueFd reader(::open((agent.settings.virtual_base + "/box").c_str(), O_RDWR));
    struct flock range = {};
    range.l_type = F_WRLCK;
    REQUIRE(::fcntl(reader.get(), F_OFD_SETLK, &range) == 0);
    CHECK(one(agent, *delivery, "u@v").find("deferred 4.2.0 cannot lock mailbox") == 0);
    agent.settings.lock_attempts = 1000;
    Timer unlock(agent.loop, [&reader] {
        struct flock all = {};
        all.l_type = F_UNLCK;
        ::fcntl(reader.get(), F_OFD_SETLK, &all);
    });
    unlock.set(agent.loop.now() + Duration::milliseconds(100));
    CHECK(one(agent, *delivery, "u@v") == "sent 2.0.0 delivered to mailbox");
}

TEST_CASE("a delivery that is cancelled at any of its steps leaves nothing behind")
{
    LocalAgent agent("inline:{{both=ann, x@else.example}}");
    const std::string user = agent.user + "@ours.example";
    const long idle = task_detail::live_frames;
    for (int steps = 0; steps < 30; ++steps) {
        const auto request = agent.request({user, "both@ours.example"});
        const MessageHead head;
        for (size_t position : {0, 1}) {
            std::optional<Outcome> outcome;
            TaskGroup inner(agent.loop);
            inner.spawn(test::store_result(agent.delivery->deliver(request, position, head), outcome));
            for (int i = 0; i < steps && !outcome; ++i)
                agent.loop.run_once(Duration::microseconds(200));
        }
        agent.loop.run_once(Duration());
    }
    // Only the workers' receivers may have been added.
    CHECK(task_detail::live_frames <= idle + 1);
    CHECK(one(agent, *agent.delivery, user) == "sent 2.0.0 delivered to maildir");
}

TEST_CASE("outcomes that need more than a frame may have all arrive")
{
    class Wordy final : public RecipientDelivery {
    public:
        Task<Outcome> deliver(const queue::DeliveryRequest&, size_t, const MessageHead&) override
        {
            co_return Outcome::deferred("4.2.0", std::string(2000, 'x'));
        }
        bool stale() const override { return false; }
    };
    log::Sink nowhere; // 20 MB of lines
    nowhere.to = log::Sink::To::File;
    nowhere.path = "/dev/null";
    REQUIRE(log::open(nowhere));
    Agent agent;
    Wordy delivery;
    const std::vector<std::string> recipients(10000, "u@v"); // 20 MB of reasons
    CHECK(agent.run(delivery, agent.request(recipients)).outcomes.size() == recipients.size());
    REQUIRE(log::open(log::Sink()));
}

TEST_CASE("a job that cannot be sent to a worker is deferred, and the next one is delivered")
{
    Agent agent;
    auto delivery = agent.virtual_delivery("static:u/", cat("static:", test_uid()));
    CHECK(one(agent, *delivery, "u@v").find("sent") == 0);
    // A job that is too long for a packet waits; it does not harm the worker.
    auto request = agent.request({"u@v"});
    request.envelope.sender = std::string(60000, 'x');
    request.envelope.recipients[0].original = request.envelope.sender;
    const auto done = agent.run(*delivery, std::move(request));
    CHECK(done.outcomes.at(0).status == DeliveryStatus::Deferred);
    CHECK(one(agent, *delivery, "u@v").find("sent") == 0);
}

TEST_CASE("a worker process holds neither root nor any descriptor of ours")
{
    if (::geteuid() != 0) {
        WARN("needs root to become another user: skipped");
        return;
    }
    Agent agent;
    const UniqueFd ours(::open("/etc/passwd", O_RDONLY)); // not close-on-exec, and opened after the spawner
    auto delivery = agent.virtual_delivery("static:u/", cat("static:", test_uid()));
    REQUIRE(one(agent, *delivery, "u@v").find("sent") == 0);
    pid_t worker = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
        const auto status = read_file(entry.path() / "status", 65536);
        if (status && status->find("local-worker") != std::string::npos &&
            status->find(cat("Uid:\t", test_uid(), '\t', test_uid(), '\t', test_uid())) != std::string::npos)
            worker = static_cast<pid_t>(std::stol(entry.path().filename()));
    }
    REQUIRE(worker > 0);
    const auto status = *read_file(cat("/proc/", worker, "/status"), 65536);
    CHECK(status.find("NoNewPrivs:\t1") != std::string::npos);
    CHECK(status.find("CapEff:\t0000000000000000") != std::string::npos);
    CHECK(status.find(cat("Groups:\t", test_gid(), " \n")) != std::string::npos);
    for (const auto& entry : std::filesystem::directory_iterator(cat("/proc/", worker, "/fd")))
        if (std::stoi(entry.path().filename()) > 2) {
            const std::string target = std::filesystem::read_symlink(entry.path());
            CHECK((target.starts_with("socket:") || target.starts_with(agent.settings.virtual_base)));
        }
}
