// Asking the programs for what is wrong with their settings: see check_settings() in instance_check.h.
#include "tools/instance_check.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/time.h"
#include "lib/base/unique_fd.h"
#include "lib/service/listeners.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fcntl.h>
#include <poll.h>
#include <set>
#include <sys/wait.h>
#include <unistd.h>

namespace posthouse::tools {

namespace {

using config::Fault;

constexpr Duration patience = Duration::seconds(10);
constexpr size_t longest_answer = 65536;

std::string master_cf_of(const Instance& instance) { return instance.directory + "/master.cf"; }

struct Answer {
    std::string text;
    bool ended = false; // by itself, in time
};

// Everything that comes until the end, or the deadline.
bool read_all(int fd, std::string& text)
{
    const Instant limit = Instant::now() + patience;
    while (text.size() < longest_answer) {
        pollfd polled{fd, POLLIN, 0};
        const Duration left = limit - Instant::now();
        if (left <= Duration() || ::poll(&polled, 1, static_cast<int>(left.whole_seconds() * 1000 + 999)) < 0)
            return false;
        char part[4096];
        const ssize_t got = polled.revents ? ::read(fd, part, sizeof part) : -1;
        if (got == 0)
            return true;
        if (got > 0)
            text.append(part, static_cast<size_t>(got));
    }
    return false;
}

Answer ask(const std::string& path, const std::vector<std::string>& words)
{
    Answer answer;
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0)
        return answer;
    const UniqueFd reading(ends[0]);
    UniqueFd writing(ends[1]);
    std::vector<char*> arguments;
    for (const std::string& word : words)
        arguments.push_back(const_cast<char*>(word.c_str()));
    arguments.push_back(nullptr);
    const pid_t child = ::fork();
    if (child < 0)
        return answer;
    if (child == 0) {
        ::dup2(writing.get(), STDOUT_FILENO);
        ::execv(path.c_str(), arguments.data());
        ::_exit(127);
    }
    writing.reset();
    answer.ended = read_all(reading.get(), answer.text);
    if (!answer.ended)
        ::kill(child, SIGKILL);
    int status = 0;
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    answer.ended = answer.ended && WIFEXITED(status) && WEXITSTATUS(status) <= 1
                   && (WEXITSTATUS(status) == 0) == answer.text.empty();
    return answer;
}

std::vector<std::string> command_line(const Instance& instance, const config::Service& service)
{
    std::vector<std::string> words = {service.program, "-c", instance.directory, "-n", service.name, "-k"};
    for (const auto& [name, value] : service.overrides.pairs()) {
        words.push_back("-o");
        words.push_back(cat(name, '=', value));
    }
    words.push_back("--");
    words.insert(words.end(), service.command.begin() + std::min<long>(1, static_cast<long>(service.command.size())),
                 service.command.end());
    return words;
}

// "PARAMETER: what is wrong", or "PARAMETER = FILE: what is wrong", placed where the parameter was set.
Fault placed(const Instance& instance, const config::Service& service, std::string_view said)
{
    const size_t colon = said.find(':');
    const size_t equals = said.find(" = ");
    if (equals < colon && instance.config->is_set(said.substr(0, equals)))
        return instance.config->fault_of(said.substr(0, equals), std::string(said.substr(equals + 3)));
    const std::string name(said.substr(0, colon));
    const auto& pairs = service.overrides.pairs();
    const bool overridden = std::any_of(pairs.begin(), pairs.end(), [&](const auto& pair) { return pair.first == name; });
    if (name.size() + 2 < said.size() && !overridden && instance.config->is_set(name))
        return instance.config->fault_of(name, std::string(said.substr(name.size() + 2)));
    return {master_cf_of(instance), service.line, service.name, cat(overridden ? "-o " : "", said)};
}

} // namespace

void check_settings(const Instance& instance, std::vector<Fault>& faults)
{
    std::set<std::string> told;
    const auto tell = [&](Fault fault) {
        // A table that cannot be opened was told of already.
        const bool known = std::any_of(faults.begin(), faults.end(), [&](const Fault& other) {
            return other.line == fault.line && !other.text.empty() && fault.text.find(other.text) != std::string::npos;
        });
        if (!known && told.insert(fault.to_text()).second)
            faults.push_back(std::move(fault));
    };
    const std::string no_services = cat(master_cf_of(instance), ": not usable");
    for (const config::Service& service : instance.services) {
        if (service.use != config::ProgramUse::Run)
            continue;
        if (auto possible = service::check_listeners(service, *instance.config); !possible)
            tell({master_cf_of(instance), service.line, service.name, possible.error().full_text()});
        const std::string path = cat(instance.config->text("daemon_directory"), '/', service.program);
        if (::access(path.c_str(), X_OK) != 0)
            continue; // check_programs says it
        const Answer answer = ask(path, command_line(instance, service));
        for (const std::string_view said : ascii::split(answer.text, "\n"))
            if (instance.services_complete || said != no_services) // of which the faults were told
                tell(placed(instance, service, said));
        if (!answer.ended)
            tell({master_cf_of(instance), service.line, service.name,
                  cat(path, " could not say whether its settings are sound"), true});
    }
}

} // namespace posthouse::tools
