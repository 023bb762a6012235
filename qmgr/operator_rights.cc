// Who may look and who may flush, see operator_rights.h: asked by control_desk.cc before each such request.
#include "qmgr/operator_rights.h"

#include "lib/base/cat.h"
#include "lib/event/thread_pool.h"
#include "lib/log/log.h"

#include <functional>
#include <pwd.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace posthouse::qmgr {

namespace {

constexpr size_t passwd_bytes = 65536;

// Blocks. "unknown" as Postfix says.
std::string name_of(uid_t user)
{
    std::vector<char> buffer(passwd_bytes);
    passwd entry{};
    passwd* found = nullptr;
    if (::getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
        return "unknown";
    return found->pw_name;
}

} // namespace

Result<void> OperatorRights::open(const config::Config& config, const table::Context& context)
{
    auto lists = std::make_shared<Lists>();
    for (auto [name, list] : {std::pair("authorized_mailq_users", &lists->view),
                              std::pair("authorized_flush_users", &lists->flush)}) {
        auto opened = table::MatchList::open(name, config.text(name), false, context);
        if (!opened)
            return std::move(opened.error());
        *list = std::move(*opened);
    }
    lists_ = std::move(lists);
    config_ = &config;
    context_ = context;
    return Result<void>();
}

Task<Result<void>> OperatorRights::check(To what, uid_t user)
{
    if (user == 0 || user == ::geteuid())
        co_return Result<void>();
    if (lists_->view->stale() || lists_->flush->stale())
        if (auto opened = open(*config_, table::Context(*context_)); !opened)
            log::warning("users' rights cannot be read anew: ", opened.error().full_text(), "; the old ones stay in use");
    const std::shared_ptr<Lists> lists = lists_;
    std::function<Result<std::string>()> look_up = [user] { return Result<std::string>(name_of(user)); };
    auto name = co_await in_pool(*context_->pool, std::move(look_up));
    if (!name)
        co_return std::move(name.error());
    table::MatchList& list = what == To::View ? *lists->view : *lists->flush;
    auto listed = co_await list.matches_string(*name);
    if (!listed)
        co_return std::move(listed.error());
    if (*listed)
        co_return Result<void>();
    co_return Error(ErrorKind::Permanent, cat("User ", *name, '(', user, ") is not allowed to ",
                                              what == To::View ? "view" : "flush", " the mail queue"));
}

} // namespace posthouse::qmgr
