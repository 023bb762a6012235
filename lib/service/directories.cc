// An instance's directories: see directories.h.
#include "lib/service/directories.h"

#include "lib/base/cat.h"
#include "lib/service/privileges.h"

#include <cerrno>
#include <dirent.h>
#include <grp.h>
#include <memory>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

namespace posthouse::service {

namespace {

struct Wanted {
    const char* parameter;
    const char* below;
    bool owned; // by mail_owner, else by whoever runs master
    bool drop_group;
    mode_t mode;
};

// public/ lets the set-gid commands reach its sockets; maildrop/ lets them add, but not list.
constexpr Wanted wanted[] = {
    {"queue_directory", "", false, false, 0755},
    {"queue_directory", "/mail", true, false, 0700},
    {"queue_directory", "/corrupt", true, false, 0700},
    {"queue_directory", "/private", true, false, 0700},
    {"queue_directory", "/public", true, true, 0710},
    {"queue_directory", "/maildrop", true, true, 01730},
    {"queue_directory", "/pid", false, false, 0755},
    {"data_directory", "", true, false, 0700},
};

std::string octal(mode_t mode)
{
    char text[8];
    snprintf(text, sizeof text, "%04o", mode & 07777);
    return text;
}

// The owner has to get in; and, in an instance of root, the set-gid commands where the group may.
mode_t must_have(const Directory& directory)
{
    const bool for_group = ::geteuid() == 0 && (directory.mode & 0777) != 0755;
    return directory.mode & (for_group ? 0770 : 0700);
}

// What root reads or runs must be root's alone.
void check_trusted(const std::string& path, std::vector<std::string>& faults)
{
    struct stat status;
    if (::geteuid() != 0 || ::stat(path.c_str(), &status) != 0)
        return;
    if (status.st_uid != 0)
        faults.push_back(cat(path, ": belongs to uid ", status.st_uid, ", who thereby commands root; chown root ", path));
    if ((status.st_mode & 022) != 0)
        faults.push_back(cat(path, ": mode ", octal(status.st_mode), " lets others write; chmod go-w ", path));
}

} // namespace

std::vector<config::Fault> check_paths(const config::Config& config)
{
    std::vector<config::Fault> faults;
    for (const char* parameter : {"queue_directory", "data_directory"})
        if (const std::string& path = config.text(parameter); !path.starts_with('/'))
            faults.push_back(config.fault_of(parameter, cat("expected a path that begins with /, not \"", path, '"')));
    return faults;
}

Result<std::vector<Directory>> directories(const config::Config& config)
{
    if (const auto faults = check_paths(config); !faults.empty())
        return Error(ErrorKind::Config, faults.front().to_text());
    const bool root = ::geteuid() == 0;
    Identity owner;
    owner.uid = ::geteuid();
    owner.gid = ::getegid();
    gid_t drop_group = owner.gid;
    if (root) {
        auto found = find_mail_owner(config.text("mail_owner"));
        if (!found)
            return std::move(found.error()).within("mail_owner");
        owner = std::move(*found);
        const std::string& name = config.text("setgid_group");
        const group* entry = ::getgrnam(name.c_str());
        if (!entry)
            return Error(ErrorKind::Config, cat("setgid_group: unknown group ", name));
        drop_group = entry->gr_gid;
    }
    std::vector<Directory> all;
    for (const Wanted& one : wanted)
        all.push_back(Directory{cat(config.text(one.parameter), one.below), one.owned ? owner.uid : ::geteuid(),
                                one.drop_group ? drop_group : one.owned ? owner.gid : ::getegid(), one.mode});
    return all;
}

std::vector<config::Fault> check_accounts(const config::Config& config)
{
    std::vector<config::Fault> faults;
    if (::geteuid() != 0)
        return faults;
    const std::string& owner = config.text("mail_owner");
    if (auto found = find_mail_owner(owner); !found) {
        const bool exists = ::getpwnam(owner.c_str()) != nullptr;
        faults.push_back(config.fault_of(
            "mail_owner", cat(found.error().text(), exists ? "; " : cat("; useradd -r -M -s /usr/sbin/nologin ", owner, ", or "),
                              "name another account")));
    }
    const std::string& group = config.text("setgid_group");
    if (!::getgrnam(group.c_str()))
        faults.push_back(config.fault_of("setgid_group", cat("unknown group ", group, "; groupadd -r ", group,
                                                             ", or name another group")));
    return faults;
}

namespace {

// "mkdir -p" of what is above `path`: 0755, and of whoever runs master.
Result<void> make_parents(const std::string& path)
{
    for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1)) {
        const std::string parent = path.substr(0, slash);
        if (::mkdir(parent.c_str(), 0755) != 0 && errno != EEXIST)
            return Error::system(cat("mkdir ", parent), errno);
    }
    return Result<void>();
}

} // namespace

Result<void> make_directories(const config::Config& config)
{
    auto all = directories(config);
    if (!all)
        return std::move(all.error());
    for (const char* parameter : {"queue_directory", "data_directory"})
        if (auto made = make_parents(config.text(parameter)); !made)
            return std::move(made.error()).within(parameter);
    for (const Directory& directory : *all) {
        if (::mkdir(directory.path.c_str(), 0700) != 0) {
            if (errno == EEXIST)
                continue;
            return Error::system(cat("mkdir ", directory.path), errno);
        }
        if (::geteuid() == 0 && ::chown(directory.path.c_str(), directory.uid, directory.gid) != 0)
            return Error::system(cat("chown ", directory.path), errno);
        if (::chmod(directory.path.c_str(), directory.mode) != 0) // after chown, which clears bits
            return Error::system(cat("chmod ", directory.path), errno);
    }
    return Result<void>();
}

std::optional<std::string> foreign_data(const config::Config& config)
{
    const std::string& path = config.text("data_directory");
    auto owner = find_mail_owner(config.text("mail_owner"));
    struct stat status;
    if (!owner || ::stat(path.c_str(), &status) != 0 || status.st_uid == owner->uid)
        return std::nullopt;
    const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
    bool empty = true;
    while (const dirent* entry = directory ? ::readdir(directory.get()) : nullptr) {
        const std::string_view name = entry->d_name;
        if (name == "waiting.lmdb")
            return std::nullopt; // ours, whoever it was given to
        empty = empty && (name == "." || name == "..");
    }
    if (empty)
        return std::nullopt;
    return cat("data_directory = ", path, ": there are files of others; name a directory of its own");
}

Result<std::vector<std::string>> check_directories(const config::Config& config)
{
    auto all = directories(config);
    if (!all)
        return std::move(all.error());
    std::vector<std::string> faults;
    const std::optional<std::string> foreign = foreign_data(config);
    if (foreign)
        faults.push_back(*foreign);
    for (const Directory& directory : *all) {
        if (foreign && directory.path == config.text("data_directory"))
            continue;
        struct stat status;
        if (::lstat(directory.path.c_str(), &status) != 0) {
            if (errno != ENOENT) // what is missing is made at the start
                faults.push_back(Error::system(directory.path, errno).text());
            continue;
        }
        if (!S_ISDIR(status.st_mode)) {
            faults.push_back(cat(directory.path, ": is not a directory"));
            continue;
        }
        if (::geteuid() == 0 && (status.st_uid != directory.uid || status.st_gid != directory.gid))
            faults.push_back(cat(directory.path, ": wrong owner; chown ", directory.uid, ':', directory.gid, ' ',
                                 directory.path));
        if ((status.st_mode & 07777 & ~directory.mode) != 0)
            faults.push_back(cat(directory.path, ": mode ", octal(status.st_mode), " lets others in; chmod ",
                                 octal(directory.mode), ' ', directory.path));
        else if ((must_have(directory) & ~status.st_mode) != 0)
            faults.push_back(cat(directory.path, ": mode ", octal(status.st_mode), " keeps out who has to get in; chmod ",
                                 octal(directory.mode), ' ', directory.path));
    }
    for (const char* below : {"", "/main.cf", "/master.cf"})
        check_trusted(config.directory() + below, faults);
    check_trusted(config.text("daemon_directory"), faults);
    check_trusted(config.text("daemon_directory") + "/master", faults);
    return faults;
}

} // namespace posthouse::service
