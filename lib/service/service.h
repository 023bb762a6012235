// What every child of master shares: the command line, configuration and log, privileges and sandbox,
// the accept loop, limits, wake-ups, reload and drain. A daemon's main() is one call:
//
//   constexpr service::Spec spec = {.program = "smtpd", ...};      // its powers, as data
//   int main(int argc, char** argv)
//   {
//       return posthouse::service::run(argc, argv, spec, [] -> std::unique_ptr<service::Program> {
//           return std::make_unique<SmtpdProgram>();
//       });
//   }
//
// The order of things in run(): command line; Config with -o; log; Program::prepare() (still with
// master's privileges: open tables, read key files, nothing that blocks for long); chroot, groups, uid,
// limits, Landlock, seccomp; Program::started(); the loop. When master is an ordinary user, uid and root
// directory stay as they are, and the sandbox holds all the same.
//
// The working directory is queue_directory, in a chroot or not: sockets are named "private/qmgr".
#pragma once

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"
#include "lib/event/loop.h"
#include "lib/event/task.h"
#include "lib/event/task_group.h"
#include "lib/event/thread_pool.h"
#include "lib/net/address.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace posthouse::config {
class Config;
}
namespace posthouse::net {
class Resolver;
}

namespace posthouse::service {

// A directory or file that the program may use after started(). `parameter` names the main.cf parameter
// that holds the path ("queue_directory"), `below` what is appended ("/mail"). A null parameter ends the
// list.
struct PathRight {
    enum Right : unsigned char { Read, ReadWrite };
    const char* parameter = nullptr;
    const char* below = "";
    Right right = Read;
};

// What the program may do once it serves. The default is: nothing but its open descriptors, UNIX
// sockets by name, and the clock.
struct Sandbox {
    bool enabled = true;     // false: for programs that must exec as others (local's root part)
    bool tcp_connect = false; // outgoing connections to other hosts (DNS over UDP and TCP: dns)
    bool dns = false;
    const char* dns_when = nullptr; // ... but only when this parameter is not empty
    bool exec = false;       // fork and exec
    bool files = false;      // any file that the uid may open (paths is ignored)
    PathRight paths[6] = {}; // files it may open, when not `files`
};

struct Spec {
    const char* program;              // "smtpd": the name in the log
    bool needs_root = false;          // keeps root: local, for forking workers
    bool chroot_ok = true;            // may run in queue_directory when the chroot column says so
    size_t sessions_per_process = 0;  // Busy from then on; 0: default (10000)
    bool single_connection = false;   // agents: one connection at a time, and from qmgr only
    bool delivers = false;            // has stop_deadline to end when the instance stops; others, 10 s of it at most
    bool gives_work = false;          // qmgr: also has the group setgid_group, by which agents know it
    bool exclusive = false;           // one process at a time: qmgr, pickup
    bool resolver = false;            // Context::resolver() will be used
    bool shared_memory = false;       // so will Context::shared_memory()
    const char* host_lookup = nullptr; // the parameter that says "dns", "native"; null: both
    bool idle_exit = true;            // after max_idle without a session
    Sandbox sandbox = {};
    size_t core_bytes = 0;            // RLIMIT_CORE
    size_t pool_share = 1;            // threads, in multiples of thread_pool_size
};

// What a Program gets. Lives as long as the process.
class Context {
public:
    virtual ~Context() = default;
    Loop& loop;
    const config::Config& config;
    ThreadPool& pool;
    const std::vector<std::string>& arguments; // of the program, after the options of master's
    const std::string& service_name;           // first column of master.cf: "smtp", "submission"
    TaskGroup& background;                     // for the program's own tasks; cancelled when it ends

    // Spec::resolver must be set. Created from main.cf before the privileges drop.
    virtual net::Resolver& resolver() = 0;
    // Memory that all processes of this service have in common, from the start of master to its end: a memfd, of which
    // the first to use it makes what it needs. -1 when there is none.
    virtual int shared_memory() const = 0;
    // Stop accepting, let sessions finish, exit 0: a table was replaced. Master starts a new process.
    virtual void retire() = 0;
    // No new session will be accepted (retire, reload, stop).
    virtual bool draining() const = 0;
    // Draining because the whole instance stops: a session that waits for its client is to end now
    // (421), work under way is finished.
    virtual bool stopping() const = 0;
    // For a program that outlives a reload (qmgr): from now on this is how long a stop may take it.
    virtual void set_stop_deadline(Duration stop_deadline) = 0;
    // Exit now, orderly, with this status: for programs whose work is not sessions (qmgr).
    virtual void finish(int status) = 0;
    virtual size_t sessions() const = 0;
    // True when root, before the privileges drop or in a program with needs_root.
    virtual bool privileged() const = 0;

protected:
    Context(Loop& its_loop, const config::Config& its_config, ThreadPool& its_pool,
            const std::vector<std::string>& its_arguments, const std::string& its_name, TaskGroup& its_background)
        : loop(its_loop), config(its_config), pool(its_pool), arguments(its_arguments), service_name(its_name),
          background(its_background)
    {
    }
};

class Program {
public:
    virtual ~Program() = default;

    // Before privileges drop: open tables, read files. An Error ends the process with status 1.
    virtual Result<void> prepare(Context&) { return Result<void>(); }
    // For `posthouse check`: all that would keep prepare() from coming to its end because of what main.cf says. The
    // directories of the queue may not be there yet.
    virtual void check(Context& context, std::vector<Error>& faults)
    {
        if (auto prepared = prepare(context); !prepared)
            faults.push_back(std::move(prepared.error()));
    }
    // After: the loop runs next. Spawn what runs beside sessions in context.background.
    virtual Result<void> started(Context&) { return Result<void>(); }
    // One for each accepted connection, as a task of its own. `listener`: which of the service's sockets.
    // An accepted TCP connection has TCP_NODELAY and keep-alive.
    virtual Task<void> serve(Context& context, UniqueFd connection, net::SocketAddress peer, size_t listener) = 0;
    // Master's wakeup timer (column wakeup), and once for a start caused by it.
    virtual void on_wakeup(Context&) {}
    // Draining has begun (context.stopping() tells why): begin nothing new, cut short what would wait. The
    // process leaves when no session is open and idle() is true. Called again when a stop follows a reload.
    virtual void on_drain(Context&) {}
    // SIGTERM: the last call before the loop ends and open sessions are cancelled. For saving state.
    virtual void on_end(Context&) {}
    // False while work goes on that is no session: keeps the process from leaving for max_idle or a drain.
    virtual bool idle() const { return true; }
};

using Factory = std::unique_ptr<Program> (*)();

// main() of every daemon; returns the exit status.
int run(int argc, char** argv, const Spec& spec, Factory factory);

} // namespace posthouse::service
