// Looking for faults: see instance_check.h.
#include "tools/instance_check.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/config/params.h"
#include "lib/config/settings.h"
#include "lib/event/loop.h"
#include "lib/event/thread_pool.h"
#include "lib/service/directories.h"
#include "lib/service/sandbox.h"
#include "lib/table/table.h"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <sys/stat.h>
#include <unistd.h>

namespace posthouse::tools {

namespace {

using config::Fault;

std::string master_cf_of(const Instance& instance) { return instance.directory + "/master.cf"; }

// Opens what a value names and says what cannot be opened, each table once.
class TableCheck {
public:
    TableCheck(const config::Config& config, std::vector<Fault>& faults)
        : pool_(loop_, 1), context_(loop_, pool_, config), faults_(faults)
    {
        context_.warn_missing = false;
        for (const std::string_view type : ascii::split(types_, " "))
            known_.insert(std::string(type));
    }

    // `where` has all but the text. In a list, only what begins with a type of table is one.
    void look(const Fault& where, config::Kind kind, std::string_view value)
    {
        for (std::string word : config::split_list(value)) {
            word.erase(0, word.find_first_not_of('!'));
            std::string_view type(word);
            if (type.starts_with("proxy:"))
                type.remove_prefix(6);
            type = type.substr(0, type.find(':'));
            const bool is_table = type.size() < word.size() && known_.contains(type);
            if (is_table || (kind == config::Kind::Tables && !word.empty()))
                open(where, word);
        }
    }

private:
    void open(const Fault& where, const std::string& name)
    {
        if (!seen_.insert(name).second)
            return;
        auto table = table::open(name, context_);
        if (table)
            return;
        Fault fault = where;
        fault.warning = where.line == 0; // a default
        fault.text = cat(name, ": ", table.error().full_text());
        const std::string file = table::file_of(name, context_);
        if (table.error().errno_value() == ENOENT && file.ends_with(".lmdb")) {
            const bool aliases = fault.parameter.find("alias_maps") == 0 || fault.parameter == "alias_database";
            append_to(fault.text, "; make it with ", aliases ? "postalias " : "postmap ", name);
        }
        faults_.push_back(std::move(fault));
    }

    Loop loop_;
    ThreadPool pool_;
    table::Context context_;
    std::vector<Fault>& faults_;
    const std::string types_ = table::known_types();
    std::set<std::string, std::less<>> known_;
    std::set<std::string, std::less<>> seen_;
};

bool has_service(const Instance& instance, std::string_view name)
{
    return std::any_of(instance.services.begin(), instance.services.end(), [&](const config::Service& service) {
        return service.type != config::ServiceType::Inet && service.name == name;
    });
}

bool names_tables(const config::Parameter& parameter)
{
    return !parameter.later() && !parameter.unused() &&
           (parameter.kind == config::Kind::Tables || parameter.kind == config::Kind::List);
}

} // namespace

bool read_instance(Instance& instance, std::vector<Fault>& faults)
{
    auto config = config::Config::load_what_is_sound(instance.directory, config::Overrides(), faults);
    if (!config)
        return false;
    instance.config = std::move(*config);
    const bool good = config::usable(faults);
    std::vector<Fault> found;
    auto services = config::load_sound_services(instance.directory, *instance.config, found);
    instance.services_complete = config::usable(found);
    faults.insert(faults.end(), found.begin(), found.end());
    if (!services)
        return false;
    instance.services = std::move(*services);
    return good && instance.services_complete;
}

void check_essentials(const Instance& instance, std::vector<Fault>& faults)
{
    for (auto* check : {service::check_paths, service::check_accounts})
        for (Fault& fault : check(*instance.config))
            faults.push_back(std::move(fault));
    const std::string master = cat(instance.config->text("daemon_directory"), "/master");
    if (::access(master.c_str(), X_OK) != 0)
        faults.push_back(instance.config->fault_of("daemon_directory", cat("expected the programs, but ",
                                                                           Error::system(master, errno).text())));
}

namespace {

// pickup leaves there what it can neither take nor move away.
void check_maildrop(const Instance& instance, std::vector<Fault>& faults)
{
    using std::filesystem::directory_iterator;
    const std::string path = instance.queue() + "/maildrop";
    std::error_code trouble; // a directory that cannot be read is for check_directories
    for (directory_iterator at(path, trouble); !trouble && at != directory_iterator(); at.increment(trouble)) {
        std::error_code gone;
        const auto type = at->symlink_status(gone).type();
        if (type != std::filesystem::file_type::regular && type != std::filesystem::file_type::not_found)
            faults.push_back({"", 0, "", cat(at->path().string(), " is no plain file, and never becomes mail: remove it"),
                              true});
    }
}

} // namespace

namespace {

// Parameters whose files hold, or may hold, a private key.
constexpr std::string_view key_parameters[] = {
    "smtpd_tls_chain_files", "smtpd_tls_cert_file", "smtpd_tls_key_file", "smtpd_tls_eccert_file", "smtpd_tls_eckey_file",
    "smtp_tls_chain_files",  "smtp_tls_cert_file",  "smtp_tls_key_file",  "smtp_tls_eccert_file",  "smtp_tls_eckey_file",
};
constexpr size_t longest_key_file = 1 << 20;

bool holds_key(const std::string& path)
{
    const auto text = read_file(path, longest_key_file);
    return text && text->find("PRIVATE KEY-----") != std::string::npos;
}

// Each file once, where it is named first.
void check_keys(const Instance& instance, std::vector<Fault>& faults)
{
    std::set<std::string> seen;
    const auto look = [&](const Fault& where, const std::string& value) {
        for (const std::string& path : config::split_list(value)) {
            struct stat about {};
            if (!seen.insert(path).second || ::stat(path.c_str(), &about) != 0 || (about.st_mode & S_IROTH) == 0
                || !holds_key(path))
                continue;
            faults.push_back(where);
            faults.back().text = cat(path, ": everybody may read this private key; chmod o-r ", path);
            faults.back().warning = true;
        }
    };
    for (const std::string_view name : key_parameters)
        if (instance.config->is_set(name))
            look(instance.config->fault_of(name, ""), instance.config->text(name));
    for (const config::Service& service : instance.services)
        for (const auto& [name, value] : service.overrides.pairs())
            if (std::find(std::begin(key_parameters), std::end(key_parameters), name) != std::end(key_parameters))
                look({master_cf_of(instance), service.line, cat(service.name, ": -o ", name), ""},
                     instance.config->expand(value));
}

} // namespace

void check_surroundings(const Instance& instance, std::vector<Fault>& faults)
{
    for (const config::Notice& notice : config::later_features_set(*instance.config))
        faults.push_back({notice.file, notice.line, notice.parameter, notice.text, true});
    for (std::string& text : config::entries_left_out(instance.services))
        faults.push_back({master_cf_of(instance), 0, "", std::move(text), true});
    for (std::string& text : service::missing_confinement())
        faults.push_back({"", 0, "", std::move(text), true});
    auto found = service::check_directories(*instance.config);
    if (!found)
        return; // check_essentials says it
    for (std::string& text : *found)
        faults.push_back({"", 0, "", std::move(text)});
    check_maildrop(instance, faults);
    check_keys(instance, faults);
}

void check_programs(const Instance& instance, std::vector<Fault>& faults)
{
    for (const config::Service& service : instance.services) {
        if (service.use != config::ProgramUse::Run)
            continue;
        const std::string path = cat(instance.config->text("daemon_directory"), '/', service.program);
        if (::access(path.c_str(), X_OK) != 0)
            faults.push_back({master_cf_of(instance), service.line, service.name,
                              cat("expected a program of the mail system, not \"", service.program, "\": ",
                                  Error::system(path, errno).text())});
    }
}

void check_tables(const Instance& instance, std::vector<Fault>& faults)
{
    TableCheck check(*instance.config, faults);
    // A default may repeat the value of one that is set.
    for (const bool set : {true, false})
        for (const config::Parameter& parameter : config::parameters())
            if (names_tables(parameter) && instance.config->is_set(parameter.name) == set)
                check.look(instance.config->fault_of(parameter.name, ""), parameter.kind,
                           instance.config->text(parameter.name));
    for (const config::Service& service : instance.services)
        for (const auto& [name, value] : service.overrides.pairs())
            if (const config::Parameter* parameter = config::find_parameter(name); parameter && names_tables(*parameter))
                check.look({master_cf_of(instance), service.line, cat(service.name, ": -o ", name), ""}, parameter->kind,
                           instance.config->expand(value));
}

namespace {

// Transports that need no entry: what they do is done by qmgr.
constexpr std::string_view built_in[] = {"error", "retry", "discard"};

void check_transports(const Instance& instance, std::vector<Fault>& faults)
{
    for (const char* parameter : {"default_transport", "local_transport", "relay_transport", "virtual_transport"}) {
        const std::string& value = instance.config->text(parameter);
        const std::string name = value.substr(0, value.find(':'));
        const bool known = std::find(std::begin(built_in), std::end(built_in), name) != std::end(built_in)
                           || has_service(instance, name);
        const bool wanted = instance.config->is_set(parameter) || parameter == std::string_view("default_transport");
        if (!known && !name.empty() && wanted)
            faults.push_back(instance.config->fault_of(
                parameter, cat("master.cf has no service \"", name, "\": mail for this transport will wait"), true));
    }
}

// A domain of two classes is taken for the first of them.
void check_domains(const Instance& instance, std::vector<Fault>& faults)
{
    const auto local = instance.config->list("mydestination");
    for (const char* parameter : {"virtual_mailbox_domains", "virtual_alias_domains"})
        for (const std::string& domain : instance.config->list(parameter))
            if (domain.find_first_of(":/!") == std::string::npos
                && std::any_of(local.begin(), local.end(), [&](const auto& word) { return ascii::equal(word, domain); }))
                faults.push_back(instance.config->fault_of(
                    parameter, cat(domain, " is also in mydestination: take it out of one of them"), true));
}

} // namespace

void check_sense(const Instance& instance, std::vector<Fault>& faults)
{
    if (instance.services_complete && !has_service(instance, "qmgr"))
        faults.push_back({master_cf_of(instance), 0, "", "expected a service qmgr: without it no mail is taken"});
    if (instance.services_complete)
        check_transports(instance, faults);
    check_domains(instance, faults);
    if (instance.config->text("myhostname").find('.') == std::string::npos)
        faults.push_back(instance.config->fault_of("myhostname", "expected a name with a domain, as in DNS", true));
}

} // namespace posthouse::tools
