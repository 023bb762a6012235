// MilterService: the milters of one process, as main.cf names them: for all sessions of smtpd (smtpd_milters,
// smtpd_milter_maps), or for pickup (non_smtpd_milters). Opened before privileges drop; connections are made afterwards.
#pragma once

#include "lib/base/result.h"
#include "lib/event/loop.h"
#include "lib/event/task.h"
#include "lib/milter/chain.h"
#include "lib/milter/settings.h"
#include "lib/table/maps.h"
#include "lib/table/table.h"
#include "smtpd/milter_spool.h"

#include <functional>
#include <memory>
#include <string>

namespace posthouse::config {
class Config;
}
namespace posthouse::net {
class Resolver;
}

namespace posthouse::smtpd {

// One session's own list, which its chain refers to.
struct SessionMilters {
    SessionMilters(Loop& loop, milter::FilterList list, const milter::Settings& settings,
                   const std::function<net::Resolver&()>& resolver)
        : filters(std::move(list)), chain(loop, filters, settings, resolver)
    {
    }
    const milter::FilterList filters;
    milter::Chain chain;
};

class MilterService {
public:
    // `parameter` names the list; `maps` the tables with lists by client address, or "". Null when there are none at all.
    static Result<std::unique_ptr<MilterService>> open(const std::string& parameter, const std::string& maps,
                                                       const config::Config& config, const table::Context& context,
                                                       std::function<net::Resolver&()> resolver);

    // Where messages are held; `directory` is on a file system with room. To be called before hold().
    Result<void> open_spool(const std::string& directory, ThreadPool& pool);
    std::unique_ptr<HeldMessage> hold(std::unique_ptr<queue::NewMessage> message)
    {
        return std::make_unique<HeldMessage>(std::move(message), *spool_);
    }

    // For a client's session; null when its list is empty. An Error: the table cannot be read.
    Task<Result<std::unique_ptr<SessionMilters>>> begin(std::string client_address);
    bool stale() const { return maps_ && maps_->stale(); }

    const milter::Settings settings;

private:
    MilterService(milter::Settings its_settings, Loop& loop, std::function<net::Resolver&()> resolver)
        : settings(std::move(its_settings)), loop_(loop), resolver_(std::move(resolver))
    {
    }

    Loop& loop_;
    const std::function<net::Resolver&()> resolver_;
    milter::FilterList filters_;
    std::unique_ptr<SpoolFile> spool_;
    std::unique_ptr<table::Maps> maps_; // null: none
};

} // namespace posthouse::smtpd
