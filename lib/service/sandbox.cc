// The sandbox of a daemon: see sandbox.h. Landlock is used by its three system calls; its constants
// are given here because system headers are often older than the running kernel.
#include "lib/service/sandbox.h"

#include "config.h"
#include "lib/base/cat.h"
#include "lib/base/unique_fd.h"

#include <cerrno>
#include <cstdint>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef HAVE_SECCOMP
#include <sched.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <sys/socket.h>
#endif

namespace posthouse::service {

namespace {

// ---- Landlock (linux/landlock.h, ABI 1 to 6)

struct RulesetAttributes {
    uint64_t handled_access_fs;
    uint64_t handled_access_net; // ABI 4
    uint64_t scoped;             // ABI 6
};
struct PathRule {
    uint64_t allowed_access;
    int32_t parent_fd;
} __attribute__((packed));
struct PortRule {
    uint64_t allowed_access;
    uint64_t port;
};
enum : uint64_t {
    FsExecute = 1 << 0,
    FsWriteFile = 1 << 1,
    FsReadFile = 1 << 2,
    FsReadDirectory = 1 << 3,
    FsLastAbi1 = 1 << 12,
    FsRefer = 1 << 13,    // ABI 2
    FsTruncate = 1 << 14, // ABI 3
    FsDeviceIoctl = 1 << 15, // ABI 5
    NetBindTcp = 1 << 0,
    NetConnectTcp = 1 << 1,
    ScopeAbstractUnix = 1 << 0,
    ScopeSignal = 1 << 1,
};
constexpr int rule_path = 1;
constexpr int rule_port = 2;

long landlock_create(const RulesetAttributes* attributes, size_t size, uint32_t flags)
{
    return ::syscall(444, attributes, size, flags);
}
long landlock_version() { return landlock_create(nullptr, 0, 1); } // -1 and errno when there is none
long landlock_add(int ruleset, int type, const void* rule) { return ::syscall(445, ruleset, type, rule, 0); }
long landlock_restrict(int ruleset) { return ::syscall(446, ruleset, 0); }

uint64_t all_file_rights(long abi)
{
    uint64_t rights = (FsLastAbi1 << 1) - 1;
    if (abi >= 2)
        rights |= FsRefer;
    if (abi >= 3)
        rights |= FsTruncate;
    if (abi >= 5)
        rights |= FsDeviceIoctl;
    return rights;
}

void allow_path(int ruleset, const AllowedPath& allowed, uint64_t all)
{
    const UniqueFd fd(::open(allowed.path.c_str(), O_PATH | O_CLOEXEC));
    if (!fd)
        return; // not there: nothing to allow
    const uint64_t of_files = FsWriteFile | FsReadFile | FsTruncate;
    uint64_t rights = allowed.write ? all & ~(FsExecute | FsDeviceIoctl) : FsReadFile | FsReadDirectory;
    const UniqueFd as_directory(::open(allowed.path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!as_directory)
        rights &= of_files;
    const PathRule rule = {rights & all, fd.get()};
    landlock_add(ruleset, rule_path, &rule);
}

// The ABI in force, 0 when there is none.
Result<long> enter_landlock(const Sandbox& sandbox, const std::vector<AllowedPath>& paths)
{
    const long abi = landlock_version();
    if (abi < 1)
        return 0L;
    RulesetAttributes attributes = {};
    attributes.handled_access_fs = sandbox.files ? 0 : all_file_rights(abi);
    size_t size = sizeof attributes.handled_access_fs;
    if (abi >= 4) {
        attributes.handled_access_net = NetBindTcp;
        if (!sandbox.tcp_connect && !sandbox.dns)
            attributes.handled_access_net |= NetConnectTcp;
        size += sizeof attributes.handled_access_net;
    }
    if (abi >= 6) {
        attributes.scoped = sandbox.exec ? 0 : ScopeAbstractUnix | ScopeSignal;
        size += sizeof attributes.scoped;
    }
    if (!attributes.handled_access_fs && !attributes.handled_access_net && !attributes.scoped)
        return 0L;
    const UniqueFd ruleset(static_cast<int>(landlock_create(&attributes, size, 0)));
    if (!ruleset)
        return Error::system("landlock_create_ruleset", errno);
    for (const AllowedPath& path : paths)
        allow_path(ruleset.get(), path, attributes.handled_access_fs);
    if (sandbox.tcp_connect && attributes.handled_access_net) {
        const PortRule any_source_port = {NetBindTcp, 0}; // smtp_bind_address
        landlock_add(ruleset.get(), rule_port, &any_source_port);
    }
    if (landlock_restrict(ruleset.get()) != 0)
        return Error::system("landlock_restrict_self", errno);
    return abi;
}

// ---- seccomp

#if defined(HAVE_SECCOMP) && !defined(__SANITIZE_ADDRESS__) // the leak check needs ptrace and clone
struct FilterDeleter {
    void operator()(void* filter) const { seccomp_release(filter); }
};

constexpr const char* never_needed[] = {
    "acct", "add_key", "adjtimex", "bpf", "clock_settime", "create_module", "delete_module", "fanotify_init",
    "finit_module", "init_module", "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl", "kcmp",
    "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "mount", "mount_setattr", "move_mount", "move_pages",
    "name_to_handle_at", "open_by_handle_at", "open_tree", "perf_event_open", "personality", "pidfd_getfd",
    "pivot_root", "process_vm_readv", "process_vm_writev", "ptrace", "quotactl", "reboot", "request_key",
    "sethostname", "setdomainname", "setns", "settimeofday", "swapoff", "swapon", "syslog", "umount2", "unshare",
    "userfaultfd", "vhangup",
};
constexpr const char* of_exec[] = {"execve", "execveat", "fork", "vfork", "kill", "tkill", "setuid", "setgid",
                                   "setreuid", "setregid", "setresuid", "setresgid", "setgroups", "setfsuid", "setfsgid",
                                   "capset", "chroot", "pidfd_send_signal"};

bool deny(scmp_filter_ctx filter, const char* name)
{
    const int number = seccomp_syscall_resolve_name(name);
    return number == __NR_SCMP_ERROR || seccomp_rule_add(filter, SCMP_ACT_ERRNO(EPERM), number, 0) == 0;
}

bool deny_families(scmp_filter_ctx filter, const Sandbox& sandbox)
{
    // Above AF_INET6 there is only what no mail program speaks (raw packets, vsock, Bluetooth, ...);
    // AF_NETLINK (16) is the exception that the name service asks.
    const auto call = SCMP_SYS(socket);
    bool good = true;
    for (const int family : {3, 4, 5, 6, 7, 8, 9})
        good = good && seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), call, 1,
                                        SCMP_A0(SCMP_CMP_EQ, static_cast<uint64_t>(family), 0)) == 0;
    good = good && seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), call, 1,
                                    SCMP_A0(SCMP_CMP_GT, static_cast<uint64_t>(AF_NETLINK), 0)) == 0;
    if (sandbox.tcp_connect || sandbox.dns)
        return good;
    for (const int family : {AF_INET, AF_INET6})
        good = good && seccomp_rule_add(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), call, 1,
                                        SCMP_A0(SCMP_CMP_EQ, static_cast<uint64_t>(family), 0)) == 0;
    return good;
}

// Empty: they are there.
std::string no_filters()
{
    const uint32_t action = SECCOMP_RET_ERRNO;
    if (::syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0)
        return "";
    return cat("the kernel has no filter for system calls (", Error::system("seccomp", errno).text(), ")");
}

Result<bool> enter_seccomp(const Sandbox& sandbox)
{
    if (!no_filters().empty())
        return false;
    const std::unique_ptr<void, FilterDeleter> filter(seccomp_init(SCMP_ACT_ALLOW));
    if (!filter)
        return Error::system("seccomp_init", ENOMEM);
    bool good = true;
    for (const char* name : never_needed)
        good = good && deny(filter.get(), name);
    if (!sandbox.exec) {
        for (const char* name : of_exec)
            good = good && deny(filter.get(), name);
        // Threads, but no processes. clone3 hides its flags from a filter; the C library knows to do without.
        good = good && seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
        good = good && seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EPERM), SCMP_SYS(clone), 1,
                                        SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, 0)) == 0;
    }
    good = good && deny_families(filter.get(), sandbox);
    seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_TSYNC, 1);
    const int failure = good ? seccomp_load(filter.get()) : -EINVAL;
    if (failure != 0)
        return Error::system("seccomp_load", -failure);
    return true;
}
#elif defined(__SANITIZE_ADDRESS__)
std::string no_filters() { return ""; } // meant to be without
Result<bool> enter_seccomp(const Sandbox&) { return false; }
#else
std::string no_filters() { return "built without a filter for system calls (libseccomp)"; }
Result<bool> enter_seccomp(const Sandbox&) { return false; }
#endif

} // namespace

std::vector<std::string> missing_confinement()
{
    std::vector<std::string> missing;
    if (landlock_version() < 1)
        missing.push_back(cat("the kernel gives no Landlock (", Error::system("landlock_create_ruleset", errno).text(),
                              "): smtpd and smtp, when taken over, reach every file that the mail owner may"));
    if (std::string why = no_filters(); !why.empty())
        missing.push_back(cat(why, ": smtpd and smtp, when taken over, may use every system call"));
    return missing;
}

Result<std::string> enter_sandbox(const Sandbox& sandbox, const std::vector<AllowedPath>& paths)
{
    if (!sandbox.enabled)
        return std::string("none");
    ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    auto abi = enter_landlock(sandbox, paths);
    if (!abi)
        return std::move(abi.error());
    auto filtered = enter_seccomp(sandbox);
    if (!filtered)
        return std::move(filtered.error());
    return cat(*abi > 0 ? cat("landlock ", *abi) : std::string("no landlock"), *filtered ? ", seccomp" : ", no seccomp");
}

} // namespace posthouse::service
