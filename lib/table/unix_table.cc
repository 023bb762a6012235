// The system's users and groups: see unix_table.h.
#include "lib/table/unix_table.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/event/thread_pool.h"
#include "lib/table/text_file.h"

#include <cerrno>
#include <functional>
#include <grp.h>
#include <pwd.h>
#include <unordered_map>
#include <vector>

namespace posthouse::table {

namespace {

constexpr size_t longest_entry = 1 << 20;

// Calls a get..nam_r function with a growing buffer. 0 or an errno.
template <class Entry, class Call>
int with_buffer(Entry*& found, std::vector<char>& buffer, Call call)
{
    for (buffer.resize(4096);; buffer.resize(buffer.size() * 2)) {
        const int code = call(buffer, found);
        if (code != ERANGE || buffer.size() >= longest_entry)
            return code;
    }
}

// "No such user" has many names in the manual of getpwnam. EACCES: a sandbox hides the files, so what was
// read at the start is all there is.
bool just_absent(int code)
{
    return code == 0 || code == ENOENT || code == ESRCH || code == EBADF || code == EPERM || code == EACCES;
}

std::string to_line(const passwd& entry)
{
    return cat(entry.pw_name, ":*:", entry.pw_uid, ':', entry.pw_gid, ':', entry.pw_gecos ? entry.pw_gecos : "", ':',
               entry.pw_dir, ':', entry.pw_shell);
}

std::string to_line(const group& entry)
{
    std::string line = cat(entry.gr_name, ":*:", entry.gr_gid, ':');
    for (char** member = entry.gr_mem; *member; ++member)
        append_to(line, member == entry.gr_mem ? "" : ",", *member);
    return line;
}

using Lines = std::unordered_map<std::string, std::string>;
constexpr size_t most_entries = 1000000;

Lines all_users()
{
    Lines lines;
    ::setpwent();
    for (const passwd* entry = ::getpwent(); entry && lines.size() < most_entries; entry = ::getpwent())
        lines.try_emplace(entry->pw_name, to_line(*entry));
    ::endpwent();
    return lines;
}

Lines all_groups()
{
    Lines lines;
    ::setgrent();
    for (const group* entry = ::getgrent(); entry && lines.size() < most_entries; entry = ::getgrent())
        lines.try_emplace(entry->gr_name, to_line(*entry));
    ::endgrent();
    return lines;
}

Value find_user(const std::string& key)
{
    passwd entry;
    passwd* found = nullptr;
    std::vector<char> buffer;
    const int code = with_buffer(found, buffer, [&](std::vector<char>& space, passwd*& result) {
        return getpwnam_r(key.c_str(), &entry, space.data(), space.size(), &result);
    });
    if (found)
        return std::optional<std::string>(to_line(*found));
    if (!just_absent(code))
        return Error::system("look up a user", code);
    return std::optional<std::string>();
}

Value find_group(const std::string& key)
{
    group entry;
    group* found = nullptr;
    std::vector<char> buffer;
    const int code = with_buffer(found, buffer, [&](std::vector<char>& space, group*& result) {
        return getgrnam_r(key.c_str(), &entry, space.data(), space.size(), &result);
    });
    if (found)
        return std::optional<std::string>(to_line(*found));
    if (!just_absent(code))
        return Error::system("look up a group", code);
    return std::optional<std::string>();
}

struct Kind {
    std::string_view name;
    const char* file; // whose change means that accounts have changed
    Lines (*all)();
    Value (*find)(const std::string&);
};
constexpr Kind kinds[] = {
    {"passwd.byname", "/etc/passwd", all_users, find_user},
    {"group.byname", "/etc/group", all_groups, find_group},
};

class UnixTable final : public Table {
public:
    UnixTable(std::string name, ThreadPool& pool, const Kind& kind, bool fold)
        : name_(std::move(name)), pool_(pool), kind_(kind), fold_(fold)
    {
        // First, so that a change while the entries are read is not missed.
        if (auto file = TableFile::open(kind.file); file)
            file_ = std::move(*file);
        lines_ = kind.all();
    }
    Task<Value> lookup(std::string key) override
    {
        if (fold_)
            key = ascii::lower(key);
        const auto known = lines_.find(key);
        if (known != lines_.end())
            co_return std::optional<std::string>(known->second);
        auto* find = kind_.find;
        std::function<Value()> work = [find, key] { return find(key); };
        co_return co_await in_pool(pool_, std::move(work));
    }
    bool stale() const override { return file_.changed(); }
    const std::string& name() const override { return name_; }

private:
    std::string name_;
    ThreadPool& pool_;
    const Kind& kind_;
    bool fold_; // Anna@example.com is the user anna
    TableFile file_;
    Lines lines_;
};

} // namespace

Opened open_unix(std::string name, std::string_view argument, const Context& context)
{
    for (const Kind& kind : kinds)
        if (kind.name == argument)
            return std::unique_ptr<Table>(std::make_unique<UnixTable>(std::move(name), *context.pool, kind, context.fold_keys));
    return Error(ErrorKind::Config, cat("unknown system table: ", argument));
}

} // namespace posthouse::table
