// Opening the log: see log_setup.h.
#include "lib/service/log_setup.h"

#include "lib/base/cat.h"
#include "lib/config/config.h"
#include "lib/log/log.h"

#include <cerrno>

namespace posthouse::service {

Result<void> open_log(const config::Config& config, const std::string& program)
{
    log::Sink sink;
    sink.path = config.text("maillog_file");
    sink.to = sink.path.empty() ? log::Sink::To::Syslog : log::Sink::To::File;
    sink.syslog_name = config.text("syslog_name");
    sink.facility = config.text("syslog_facility");
    sink.program = program;
    const std::string& permissions = config.text("maillog_file_permissions");
    sink.permissions = permissions == "0644" ? 0644 : permissions == "0640" ? 0640 : 0600;
    if (!log::open(sink))
        return Error::system(cat("open maillog_file ", sink.path), errno);
    return Result<void>();
}

void open_default_log(const std::string& program)
{
    log::Sink sink;
    sink.to = log::Sink::To::Syslog;
    sink.syslog_name = "posthouse";
    sink.program = program;
    log::open(sink);
}

} // namespace posthouse::service
