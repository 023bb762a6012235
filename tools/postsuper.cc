/*
NAME
    postsuper - hold, release, delete, requeue and expire queued mail
SYNOPSIS
    postsuper [-psSv] [-c DIR] [-d ID] [-e ID] [-f ID] [-h ID] [-H ID] [-r ID] [QUEUE...]
DESCRIPTION
    postsuper changes what becomes of messages in the queue. It gives its orders to the queue manager, qmgr(8);
    while none runs it changes the queue files itself, and none can start meanwhile. It is for those who may write to the
    queue.

    ID is a queue ID as postqueue(1) shows it, "-" to read IDs from standard input (the first word of each line),
    or ALL: every message, or with ALL:QUEUE every message in incoming, active, deferred, hold or corrupt. QUEUE
    arguments limit all orders to these queues. Options may be given more than once and together; they are
    carried out in their order.

    -c DIR  configuration directory; default: the environment's MAIL_CONFIG, or the built-in one
    -d ID   delete the message
    -e ID   expire it: it is returned to its sender at the next attempt
    -f ID   the same, and release it from hold
    -h ID   put it on hold: no delivery is tried
    -H ID   release it from hold
    -p      accepted: there are no left-over files to purge, qmgr uses them again
    -r ID   requeue it: addresses and routes are looked up anew, delivery is tried soon
    -s      check the queue: directories are made where they are missing, damaged files are told
    -S      the same
    -v      say which messages could not be found
    --help  print a summary

    Damaged messages are in corrupt/ until a person deletes them: -d ID corrupt, or -d ALL:corrupt.
DIAGNOSTICS
    Each message acted on and the sums go to standard error. Exit status 0 on success, also when a message was not
    found; 1 when something failed or the check found a fault; 64 for a wrong command line; 78 when main.cf
    cannot be used.
SEE ALSO
    postqueue(1), postcat(1), mailq(1), qmgr(8)
*/
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/ipc/channel.h"
#include "lib/queue/queue_id.h"
#include "lib/queue/slot_files.h"
#include "lib/service/directories.h"
#include "tools/control_client.h"
#include "tools/queue_act.h"
#include "tools/queue_ids.h"
#include "tools/show_queue.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>
#include <sysexits.h>
#include <unistd.h>

using namespace posthouse;
using queue::Action;

namespace {

constexpr const char* usage =
    "usage: postsuper [-c config_dir] [-d queue_id (delete)] [-e queue_id (expire)] [-f queue_id (force-expire)]\n"
    "                 [-h queue_id (hold)] [-H queue_id (un-hold)] [-p (purge temporary files)]\n"
    "                 [-r queue_id (requeue)] [-s (structure fix)] [-S] [-v] [queue...]\n"
    "queue_id: an ID, - for standard input, ALL, ALL:queue\n";

constexpr size_t ids_in_a_frame = 5000;
constexpr Duration patience = Duration::seconds(5);
constexpr useconds_t poll_us = 100000;

struct ActionName {
    char letter;
    Action action;
    const char* one; // "ID: removed"
    const char* sum; // "Deleted: 3 messages"
};
constexpr ActionName action_names[] = {
    {'d', Action::Delete, "removed", "Deleted"},
    {'e', Action::Expire, "expired", "Expired"},
    {'f', Action::ForceExpire, "expired", "Force-expired"},
    {'h', Action::Hold, "placed on hold", "Placed on hold"},
    {'H', Action::Release, "released from hold", "Released from hold"},
    {'r', Action::Requeue, "requeued", "Requeued"},
};

struct Order {
    const ActionName* name;
    std::string argument;
};

struct Options {
    std::string directory;
    std::vector<Order> orders;
    uint8_t queues = queue::AllQueues;
    bool check = false;
    bool verbose = false;
};

void say(std::string_view text) { std::fputs(cat("postsuper: ", text, "\n").c_str(), stderr); }

std::optional<Options> parse(int argc, char** argv)
{
    Options options;
    for (int letter = 0; (letter = getopt(argc, argv, "c:d:e:f:h:H:pr:sSv")) != -1;) {
        const auto* name = std::find_if(std::begin(action_names), std::end(action_names),
                                        [letter](const ActionName& entry) { return entry.letter == letter; });
        if (name != std::end(action_names))
            options.orders.push_back(Order{name, optarg});
        else if (letter == 'c')
            options.directory = optarg;
        else if (letter == 's' || letter == 'S' || letter == 'p')
            options.check = options.check || letter != 'p';
        else if (letter == 'v')
            options.verbose = true;
        else
            return std::nullopt;
    }
    if (optind < argc)
        options.queues = queue::NoQueue;
    for (; optind < argc; ++optind) {
        const uint8_t one = queue::queue_set_from(argv[optind]);
        if (one == queue::NoQueue) {
            say(cat("fatal: no such queue: ", argv[optind]));
            return std::nullopt;
        }
        options.queues = static_cast<uint8_t>(options.queues | one);
    }
    if (options.orders.empty()) // as Postfix: without an order it checks
        options.check = true;
    return options;
}

// The messages that an order names; empty when its argument is none.
std::optional<queue::ControlAct> request_of(const Order& order, uint8_t queues)
{
    queue::ControlAct act;
    act.action = order.name->action;
    act.queues = queues;
    const std::string& argument = order.argument;
    if (argument == "ALL" || argument.starts_with("ALL:")) {
        act.all = true;
        if (argument.size() > 3)
            act.queues = queue::queue_set_from(argument.substr(4));
        if (argument.size() > 3 && (argument.size() == 4 || act.queues == queue::NoQueue)) {
            say(cat("fatal: no such queue: ", argument));
            return std::nullopt;
        }
        return act;
    }
    act.ids = tools::queue_ids_from("postsuper", argument);
    return act;
}

// Carries the orders out, by qmgr or without it.
class Orders {
public:
    Orders(std::string queue_directory, bool verbose) : directory_(std::move(queue_directory)), verbose_(verbose) {}

    bool carry_out(const Order& order, const queue::ControlAct& act)
    {
        uint64_t count = 0;
        bool ok = true;
        if ((act.queues & queue::Corrupt) != 0 && act.action == Action::Delete) {
            auto end = tools::delete_corrupt(directory_, act, [&](const std::string& id) { tell(order, id); });
            ok = take(end, count);
        }
        const bool none = !act.all && act.ids.empty();
        for (size_t at = 0; (act.queues & queue::AllQueues) != 0 && !none && ok && (at == 0 || at < act.ids.size());
             at += ids_in_a_frame) {
            queue::ControlAct some = act;
            some.queues &= queue::AllQueues;
            const size_t end = std::min(act.ids.size(), at + ids_in_a_frame);
            some.ids.assign(act.ids.begin() + static_cast<ptrdiff_t>(std::min(at, end)),
                            act.ids.begin() + static_cast<ptrdiff_t>(end));
            ok = act_on(order, some, count);
        }
        if (count > 0)
            say(cat(order.name->sum, ": ", count, count == 1 ? " message" : " messages"));
        return ok;
    }

private:
    bool act_on(const Order& order, const queue::ControlAct& act, uint64_t& count)
    {
        if (auto reached = reach(); !reached) {
            say(cat("fatal: ", reached.error().full_text()));
            return false;
        }
        if (!client_) {
            const auto end = tools::act_on_files(directory_, act, [&](const std::string& id) { tell(order, id); });
            lock_.reset();
            return take(end, count);
        }
        auto end = client_->ask(act.to_frame());
        if (!take(end, count))
            return false;
        for (const std::string& id : act.ids) {
            if (std::find(end->missed.begin(), end->missed.end(), id) == end->missed.end())
                tell(order, id);
        }
        return true;
    }
    // The queue manager; or its lock on the queue, so that none runs or starts until the files have been changed. A
    // manager that has the lock and cannot be reached is on its way up or down, or has no room for one more client.
    Result<void> reach()
    {
        for (const Instant limit = Instant::now() + patience; !client_; ::usleep(poll_us)) {
            auto connected = tools::ControlClient::connect(directory_);
            if (connected) {
                client_ = *std::move(connected);
                break;
            }
            auto lock = queue::SlotFiles(directory_).lock_queue(Duration());
            if (lock) {
                lock_ = *std::move(lock);
                break;
            }
            if (lock.error().kind() != ErrorKind::Temporary)
                return std::move(lock.error());
            if (Instant::now() >= limit)
                return std::move(connected.error()).within("a queue manager runs, but cannot be reached");
        }
        return Result<void>();
    }
    bool take(const Result<queue::ControlEnd>& end, uint64_t& count)
    {
        if (!end || !end->ok) {
            say(cat("fatal: ", end ? end->text : end.error().full_text()));
            return false;
        }
        count += end->count;
        for (const std::string& id : end->missed) {
            if (verbose_)
                say(cat("warning: ", id, ": no such message, or nothing to do"));
        }
        return true;
    }
    static void tell(const Order& order, const std::string& id) { say(cat(id, ": ", order.name->one)); }

    std::string directory_;
    bool verbose_;
    std::unique_ptr<tools::ControlClient> client_; // null: no queue manager runs
    UniqueFd lock_;                                // then
};

bool check(const config::Config& config, bool verbose)
{
    if (const auto made = service::make_directories(config); !made) {
        say(cat("fatal: ", made.error().full_text()));
        return false;
    }
    bool sound = true;
    const auto whole = tools::check_structure(config.text("queue_directory"), [&](const std::string& path, const std::string& why) {
        say(cat("warning: ", path, ": ", why));
        sound = false;
    });
    if (!whole)
        say(cat("fatal: ", whole.error().full_text()));
    else if (verbose)
        say(cat(*whole, " messages are whole"));
    return whole && sound;
}

} // namespace

int main(int argc, char** argv)
{
    if (argc == 2 && std::strcmp(argv[1], "--help") == 0) {
        std::fputs(usage, stdout);
        return EX_OK;
    }
    const auto options = parse(argc, argv);
    if (!options) {
        std::fputs(usage, stderr);
        return EX_USAGE;
    }
    const auto config = tools::command_config(options->directory, "postsuper");
    if (!config)
        return EX_CONFIG;
    const std::string& queue_directory = config->text("queue_directory");
    bool ok = !options->check || check(*config, options->verbose);
    if (options->orders.empty())
        return ok ? EX_OK : 1;
    Orders orders(queue_directory, options->verbose);
    for (const Order& order : options->orders) {
        const auto act = request_of(order, options->queues);
        if (!act)
            return EX_USAGE;
        ok = orders.carry_out(order, *act) && ok;
    }
    return ok ? EX_OK : 1;
}
