// The system's users and groups: see unix_table.h.
#include "lib/table/unix_table.h"

#include "lib/base/cat.h"
#include "lib/event/thread_pool.h"

#include <cerrno>
#include <functional>
#include <grp.h>
#include <pwd.h>
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

// "No such user" has many names in the manual of getpwnam.
bool just_absent(int code) { return code == 0 || code == ENOENT || code == ESRCH || code == EBADF || code == EPERM; }

Value find_user(const std::string& key)
{
    passwd entry;
    passwd* found = nullptr;
    std::vector<char> buffer;
    const int code = with_buffer(found, buffer, [&](std::vector<char>& space, passwd*& result) {
        return getpwnam_r(key.c_str(), &entry, space.data(), space.size(), &result);
    });
    if (found)
        return std::optional<std::string>(cat(found->pw_name, ":*:", found->pw_uid, ':', found->pw_gid, ':',
                                              found->pw_gecos, ':', found->pw_dir, ':', found->pw_shell));
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
    if (found) {
        std::string line = cat(found->gr_name, ":*:", found->gr_gid, ':');
        for (char** member = found->gr_mem; *member; ++member)
            append_to(line, member == found->gr_mem ? "" : ",", *member);
        return std::optional<std::string>(std::move(line));
    }
    if (!just_absent(code))
        return Error::system("look up a group", code);
    return std::optional<std::string>();
}

class UnixTable final : public Table {
public:
    UnixTable(std::string name, ThreadPool& pool, Value (*find)(const std::string&))
        : name_(std::move(name)), pool_(pool), find_(find)
    {
    }
    Task<Value> lookup(std::string key) override
    {
        auto* find = find_;
        std::function<Value()> work = [find, key] { return find(key); };
        co_return co_await in_pool(pool_, std::move(work));
    }
    const std::string& name() const override { return name_; }

private:
    std::string name_;
    ThreadPool& pool_;
    Value (*find_)(const std::string&);
};

} // namespace

Opened open_unix(std::string name, std::string_view argument, const Context& context)
{
    if (argument == "passwd.byname")
        return std::unique_ptr<Table>(std::make_unique<UnixTable>(std::move(name), *context.pool, find_user));
    if (argument == "group.byname")
        return std::unique_ptr<Table>(std::make_unique<UnixTable>(std::move(name), *context.pool, find_group));
    return Error(ErrorKind::Config, cat("unknown system table: ", argument));
}

} // namespace posthouse::table
