// What postdrop and postqueue do first, because any user may start them with more rights than theirs: see set_gid.h.
#include "tools/set_gid.h"

#include "lib/base/cat.h"
#include "lib/config/config.h"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace posthouse::tools {

namespace {

constexpr const char* kept_variables[] = {"MAIL_CONFIG", "TZ"};

// A closed standard descriptor would become the next file that is opened, and get our messages.
void open_standard_descriptors()
{
    int fd = 0;
    while (fd <= 2) {
        fd = ::open("/dev/null", O_RDWR);
        if (fd < 0)
            std::abort();
    }
    ::close(fd);
}

} // namespace

void secure_start()
{
    open_standard_descriptors();
    std::vector<std::pair<const char*, std::string>> kept;
    for (const char* name : kept_variables)
        if (const char* value = std::getenv(name))
            kept.emplace_back(name, value);
    ::clearenv();
    for (const auto& [name, value] : kept)
        ::setenv(name, value.c_str(), 1);
    ::setenv("PATH", "/usr/bin:/bin:/usr/sbin:/sbin", 1);
    const rlimit no_core{0, 0};
    (void)::setrlimit(RLIMIT_CORE, &no_core); // only a precaution
    ::umask(077);
}

bool has_borrowed_rights()
{
    return ::getegid() != ::getgid() || ::geteuid() != ::getuid();
}

Result<std::string> trusted_config_directory(std::string_view c_option)
{
    const std::string wanted = config::Config::directory_from(c_option);
    if (!has_borrowed_rights() || ::getuid() == 0 || wanted == POSTHOUSE_CONFIG_DIR)
        return wanted;
    std::vector<config::Fault> faults;
    auto installed = config::Config::load(POSTHOUSE_CONFIG_DIR, config::Overrides(), faults);
    if (!installed)
        return std::move(installed.error());
    for (const char* parameter : {"alternate_config_directories", "multi_instance_directories"}) {
        const auto directories = (*installed)->list(parameter);
        if (std::find(directories.begin(), directories.end(), wanted) != directories.end())
            return wanted;
    }
    return Error(ErrorKind::Permanent, cat("the configuration in ", wanted, " is not authorised: add it to "
                                           "alternate_config_directories in " POSTHOUSE_CONFIG_DIR "/main.cf"));
}

} // namespace posthouse::tools
