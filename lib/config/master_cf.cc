// master.cf: see master_cf.h.
#include "lib/config/master_cf.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/config/lines.h"
#include "lib/config/settings.h"
#include "lib/config/value.h"

#include <algorithm>

namespace posthouse::config {

namespace {

constexpr size_t column_count = 8; // name type private unpriv chroot wakeup maxproc command
constexpr const char* postscreen = "postscreen";

struct Token {
    std::string text;
    bool braced = false;
};

// Reads one entry; what is wrong with it goes to the list, and the rest is read all the same.
class EntryReader {
public:
    EntryReader(const std::string& file, const Config& config, std::vector<Fault>& faults)
        : file_(file), config_(config), faults_(faults)
    {
    }
    std::optional<Service> read(const LogicalLine& line);

private:
    bool split(std::string_view text);
    void read_type(const std::string& text);
    std::optional<bool> read_flag(const char* column, const std::string& text);
    void read_wakeup(std::string_view text);
    void read_process_limit(const std::string& text);
    void read_command();
    void check_name();
    void check_overrides();
    void choose_program();
    void screen_clients();
    void complain(std::string text, bool warning = false);

    const std::string& file_;
    const Config& config_;
    std::vector<Fault>& faults_;
    std::vector<Token> tokens_;
    Service service_;
};

void EntryReader::complain(std::string text, bool warning)
{
    faults_.push_back({file_, service_.line, service_.name, std::move(text), warning});
}

// At white space; { } keeps together and is taken off again.
bool EntryReader::split(std::string_view text)
{
    tokens_.clear();
    while (!(text = ascii::trim(text)).empty()) {
        if (text.front() == '{') {
            Braced braced = find_braced(text, 0);
            if (braced.close == std::string_view::npos)
                return false;
            tokens_.push_back({std::string(ascii::trim(braced.inside)), true});
            text.remove_prefix(braced.close + 1);
        } else {
            size_t end = 0;
            while (end < text.size() && !ascii::is_space(text[end]))
                ++end;
            tokens_.push_back({std::string(text.substr(0, end)), false});
            text.remove_prefix(end);
        }
    }
    return true;
}

std::optional<Service> EntryReader::read(const LogicalLine& line)
{
    size_t faults_before = faults_.size();
    service_ = Service();
    service_.line = line.line;
    if (!split(line.text)) {
        complain("expected \"}\" for each \"{\"");
        return std::nullopt;
    }
    service_.name = tokens_.front().text;
    if (tokens_.size() < column_count) {
        complain(cat("expected eight columns (service type private unpriv chroot wakeup maxproc command), not ",
                     tokens_.size()));
        return std::nullopt;
    }
    read_type(tokens_[1].text);
    service_.private_ = read_flag("private", tokens_[2].text);
    service_.unprivileged = read_flag("unpriv", tokens_[3].text);
    service_.chroot = read_flag("chroot", tokens_[4].text);
    read_wakeup(tokens_[5].text);
    read_process_limit(tokens_[6].text);
    read_command();
    check_name();
    check_overrides();
    choose_program();
    auto below_one = compare_levels(config_.text("compatibility_level"), "1");
    service_.chroot_default = below_one && *below_one < 0;
    bool good = std::all_of(faults_.begin() + static_cast<std::ptrdiff_t>(faults_before), faults_.end(),
                            [](const Fault& fault) { return fault.warning; });
    if (!good)
        return std::nullopt;
    return std::move(service_);
}

void EntryReader::read_type(const std::string& text)
{
    for (ServiceType type : {ServiceType::Inet, ServiceType::Unix, ServiceType::UnixDatagram, ServiceType::Fifo,
                             ServiceType::Pass}) {
        if (text == to_text(type)) {
            service_.type = type;
            return;
        }
    }
    complain(cat("type: expected inet, unix, unix-dgram, fifo or pass, not \"", text, "\""));
}

std::optional<bool> EntryReader::read_flag(const char* column, const std::string& text)
{
    if (text == "y")
        return true;
    if (text == "n")
        return false;
    if (text != "-")
        complain(cat(column, ": expected y, n or -, not \"", text, "\""));
    return std::nullopt;
}

void EntryReader::read_wakeup(std::string_view text)
{
    if (text == "-")
        return;
    std::string_view number = text;
    if (number.ends_with('?')) {
        service_.wakeup_if_used = true;
        number.remove_suffix(1);
    }
    auto seconds = ascii::parse_unsigned(number);
    if (!seconds || *seconds > 1000000000) {
        complain(cat("wakeup: expected seconds, maybe with \"?\", or -, not \"", text, "\""));
        return;
    }
    service_.wakeup_seconds = static_cast<int>(*seconds);
}

void EntryReader::read_process_limit(const std::string& text)
{
    if (text == "-")
        return;
    auto limit = ascii::parse_unsigned(text);
    if (!limit || *limit > 1000000) {
        complain(cat("maxproc: expected a number or -, not \"", text, "\""));
        return;
    }
    service_.process_limit = static_cast<int>(*limit);
}

// Options stand before other arguments; what follows the first of those belongs to the program.
void EntryReader::read_command()
{
    service_.command.push_back(tokens_[column_count - 1].text);
    size_t at = column_count;
    for (; at < tokens_.size() && !tokens_[at].braced && tokens_[at].text.starts_with('-'); ++at) {
        const std::string& option = tokens_[at].text;
        if (!option.starts_with("-o")) {
            service_.command.push_back(option);
            continue;
        }
        bool attached = option.size() > 2;
        if (!attached && at + 1 == tokens_.size()) {
            complain("expected name=value after -o");
            break;
        }
        const std::string pair = attached ? option.substr(2) : tokens_[++at].text;
        if (auto added = service_.overrides.add_option(pair); !added)
            complain(cat("-o: ", added.error().text()));
    }
    if (at < tokens_.size() && !service_.overrides.empty())
        complain(cat("\"", tokens_[at].text, "\" follows -o options: a value with white space is written -o { name = value }"),
                 true);
    for (; at < tokens_.size(); ++at)
        service_.command.push_back(tokens_[at].text);
}

void EntryReader::check_name()
{
    const std::string& name = service_.name;
    if (service_.type != ServiceType::Inet) {
        if (name.find('/') != std::string::npos || name == "." || name == "..")
            complain("expected a service name without \"/\"");
        return;
    }
    if (service_.private_.value_or(true))
        complain("private: expected n for type inet, whose port anyone can reach");
    std::string expanded = config_.expand(name);
    size_t colon = expanded.rfind(':');
    std::string_view port = std::string_view(expanded).substr(colon == std::string::npos ? 0 : colon + 1);
    auto number = ascii::parse_unsigned(port);
    bool numeric = !port.empty() && std::all_of(port.begin(), port.end(), ascii::is_digit);
    if (port.empty() || (numeric && (!number || *number == 0 || *number > 65535)))
        complain(cat("expected port or address:port, with a port from 1 to 65535, not \"", expanded, "\""));
    service_.name = expanded;
}

void EntryReader::check_overrides()
{
    for (const auto& [name, value] : service_.overrides.pairs()) {
        const Parameter* parameter = find_parameter(name);
        const TransportSuffix* suffix = transport_suffix_of(name);
        if (parameter == nullptr && suffix != nullptr)
            parameter = find_parameter(suffix->default_name);
        if (parameter == nullptr) {
            if (!config_.settings().has_a_use(name))
                complain(cat("-o ", name, ": ", Settings::unknown_name_text(name)), true);
            continue;
        }
        if (parameter->kind == Kind::Raw)
            continue;
        Expander expander(config_.settings());
        auto expanded = expander.expand(value);
        if (!expanded)
            complain(cat("-o ", name, ": ", expanded.error().text()));
        else if (auto complaint = complaint_about(*parameter, ascii::trim(*expanded)))
            complain(cat("-o ", name, ": ", *complaint));
    }
}

void EntryReader::choose_program()
{
    service_.program = service_.command.front();
    // Behind Postfix's postscreen, which hands its clients on; here they stay with one program.
    if (service_.program == "smtpd" && service_.type == ServiceType::Pass) {
        service_.use = ProgramUse::NotNeeded;
        service_.note = "smtpd screens clients itself; what is set here holds for the entry of postscreen";
    }
    const auto& known = known_programs();
    auto at = std::find_if(known.begin(), known.end(),
                           [&](const KnownProgram& program) { return service_.program == program.name; });
    if (at == known.end())
        return;
    if (service_.program == postscreen)
        screen_clients();
    service_.use = at->use;
    service_.note = at->note;
    service_.program = at->runs == nullptr ? "" : at->runs;
}

// postscreen's maxproc of 1 is no limit of the real servers behind it, which are the same processes here; and what it says
// to the proxies in front of it has nothing to do with what smtpd says to its own.
void EntryReader::screen_clients()
{
    Overrides all;
    all.add("smtpd_screening_enable", "yes");
    all.add("smtpd_upstream_proxy_protocol", "");
    for (const auto& [name, value] : service_.overrides.pairs())
        all.add(name, value);
    service_.overrides = std::move(all);
    service_.process_limit = -1;
}

// Options of the server that postscreen passes its clients to hold for the service that does both; its own come last.
void inherit_from_passed_to(const Config& config, std::vector<Service>& services)
{
    const std::string& name = config.text("smtpd_service_name");
    const auto passed_to = std::find_if(services.begin(), services.end(), [&](const Service& service) {
        return service.name == name && service.type == ServiceType::Pass && service.program == "smtpd";
    });
    if (passed_to == services.end())
        return;
    for (Service& service : services) {
        if (service.command.front() != postscreen)
            continue;
        Overrides all = passed_to->overrides;
        for (const auto& [option, value] : service.overrides.pairs())
            all.add(option, value);
        service.overrides = std::move(all);
        if (service.process_limit < 0)
            service.process_limit = passed_to->process_limit;
    }
}

} // namespace

std::string_view to_text(ServiceType type)
{
    switch (type) {
    case ServiceType::Inet: return "inet";
    case ServiceType::Unix: return "unix";
    case ServiceType::UnixDatagram: return "unix-dgram";
    case ServiceType::Fifo: return "fifo";
    case ServiceType::Pass: return "pass";
    }
    return "";
}

const std::vector<KnownProgram>& known_programs()
{
    using enum ProgramUse;
    static const std::vector<KnownProgram> table = {
        {"nqmgr", "qmgr", Run, "an old name of qmgr"},
        {"oqmgr", "qmgr", Run, "there is one scheduler"},
        {postscreen, "smtpd", Run, "smtpd screens clients itself"},
        {"anvil", nullptr, NotNeeded, "smtpd counts by itself"},
        {"bounce", nullptr, NotNeeded, "qmgr writes notices itself"},
        {"cleanup", nullptr, NotNeeded, "whoever takes a message cleans it up"},
        {"discard", nullptr, NotNeeded, "qmgr handles this transport itself"},
        {"dnsblog", nullptr, NotNeeded, "smtpd asks DNS lists itself"},
        {"error", nullptr, NotNeeded, "qmgr handles this transport itself"},
        {"flush", nullptr, NotNeeded, "qmgr finds the mail of a destination itself"},
        {"nbdb_reindexd", nullptr, NotNeeded, "there are no Berkeley DB tables"},
        {"postlogd", nullptr, NotNeeded, "each program writes its log itself"},
        {"proxymap", nullptr, NotNeeded, "each program opens its tables itself"},
        {"scache", nullptr, NotNeeded, "smtp keeps its connections itself"},
        {"showq", nullptr, NotNeeded, "qmgr lists the queue itself"},
        {"tlsmgr", nullptr, NotNeeded, "programs share TLS sessions by tickets"},
        {"tlsproxy", nullptr, NotNeeded, "smtpd and smtp speak TLS themselves"},
        {"trivial-rewrite", nullptr, NotNeeded, "rewriting and routing are done where they are needed"},
        {"verify", nullptr, NotNeeded, "verification needs no program of its own"},
        {"pipe", nullptr, Later, "delivery to commands is not there yet"},
        {"qmqpd", nullptr, Later, "QMQP is not there yet"},
        {"spawn", nullptr, Later, "running other servers is not there yet"},
    };
    return table;
}

namespace {

// The good ones.
std::vector<Service> read_services(std::string_view text, const std::string& file, const Config& config,
                                   std::vector<Fault>& faults)
{
    std::vector<Service> services;
    EntryReader reader(file, config, faults);
    for (const LogicalLine& line : logical_lines(text, file, faults)) {
        auto service = reader.read(line);
        if (!service)
            continue;
        auto same = std::find_if(services.begin(), services.end(), [&](const Service& other) {
            return other.name == service->name && other.type == service->type;
        });
        if (same == services.end()) {
            services.push_back(std::move(*service));
        } else {
            faults.push_back({file, service->line, service->name, cat("replaces the entry of line ", same->line), true});
            *same = std::move(*service);
        }
    }
    inherit_from_passed_to(config, services);
    return services;
}

} // namespace

Result<std::vector<Service>> parse_master_cf(std::string_view text, const std::string& file, const Config& config,
                                             std::vector<Fault>& faults)
{
    std::vector<Fault> found;
    std::vector<Service> services = read_services(text, file, config, found);
    const bool good = usable(found);
    faults.insert(faults.end(), found.begin(), found.end());
    if (!good)
        return Error(ErrorKind::Config, cat(file, ": not usable"));
    return services;
}

Result<std::vector<Service>> load_sound_services(const std::string& directory, const Config& config,
                                                 std::vector<Fault>& faults)
{
    const std::string file = directory + "/master.cf";
    auto text = read_file(file, file_size_limit);
    if (!text) {
        faults.push_back({"", 0, "", text.error().full_text()});
        return std::move(text.error());
    }
    const size_t before = faults.size();
    std::vector<Service> services = read_services(*text, file, config, faults);
    if (services.empty() && faults.size() == before)
        faults.push_back({file, 0, "", "expected at least one service; \"make install\" puts an example there"});
    return services;
}

std::vector<std::string> entries_left_out(const std::vector<Service>& services)
{
    std::string not_needed;
    std::string later;
    for (const Service& service : services) {
        std::string& names = service.use == ProgramUse::NotNeeded ? not_needed : later;
        if (service.use != ProgramUse::Run)
            append_to(names, names.empty() ? "" : ", ", service.name);
        if (service.use == ProgramUse::Later)
            append_to(names, " (", service.note, ')');
    }
    std::vector<std::string> lines;
    if (!not_needed.empty())
        lines.push_back(cat("not started, for other programs do their work here: ", not_needed));
    if (!later.empty())
        lines.push_back(cat("not started, and mail for them waits: ", later));
    return lines;
}

Result<std::vector<Service>> load_master_cf(const std::string& directory, const Config& config,
                                            std::vector<Fault>& faults)
{
    std::vector<Fault> found;
    auto services = load_sound_services(directory, config, found);
    const bool good = usable(found);
    faults.insert(faults.end(), found.begin(), found.end());
    if (services && !good)
        return Error(ErrorKind::Config, cat(directory, "/master.cf: not usable"));
    return services;
}

} // namespace posthouse::config
