// master.cf: one Service for each entry, in Postfix's eight columns and continuation lines. Who calls
// it: master, `posthouse check` and postconf. Nothing here resolves names or opens sockets.
#pragma once

#include "lib/base/result.h"
#include "lib/config/config.h"
#include "lib/config/fault.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::config {

enum class ServiceType : unsigned char { Inet, Unix, UnixDatagram, Fifo, Pass };
std::string_view to_text(ServiceType type); // as in master.cf

// What Posthouse does with a program that an entry names.
enum class ProgramUse : unsigned char {
    Run,       // start Service::program
    NotNeeded, // known from Postfix, its work is done elsewhere here: the entry is skipped
    Later,     // known from Postfix, not there yet: the entry is skipped
};

struct Service {
    std::string name; // "smtp", "127.0.0.1:2525", "[::1]:25", "pickup"
    ServiceType type = ServiceType::Unix;
    // nullopt: "-" in the file. The functions below give what then holds.
    std::optional<bool> private_;
    std::optional<bool> unprivileged;
    std::optional<bool> chroot;
    int wakeup_seconds = 0;      // 0: never
    bool wakeup_if_used = false; // '?': only once the service is in use
    int process_limit = -1;      // -1: default_process_limit; 0: no limit
    // Program and arguments as in the file, without -o options.
    std::vector<std::string> command;
    Overrides overrides;
    int line = 0;

    std::string program; // what to start: "smtpd" for Postfix's "postscreen"; empty when nothing
    ProgramUse use = ProgramUse::Run;
    std::string note; // why an entry is skipped or served by another program; else empty
    bool chroot_default = false;

    bool is_private() const { return private_.value_or(true); }
    bool is_unprivileged() const { return unprivileged.value_or(true); }
    bool is_chrooted() const { return chroot.value_or(chroot_default); }
};

// Reads DIR/master.cf; Error when the file cannot be read or has a fault that is more than a warning.
Result<std::vector<Service>> load_master_cf(const std::string& directory, const Config& config,
                                            std::vector<Fault>& faults);
// The same, with the entries that have no fault when others do: for going on to look for faults of those.
Result<std::vector<Service>> load_sound_services(const std::string& directory, const Config& config,
                                                 std::vector<Fault>& faults);
// The first again, from text; `file` names it in faults.
Result<std::vector<Service>> parse_master_cf(std::string_view text, const std::string& file, const Config& config,
                                             std::vector<Fault>& faults);

// What to tell of the entries that nothing is started for: a line for all whose work is done elsewhere, one for all that
// cannot be served yet; none when there are none.
std::vector<std::string> entries_left_out(const std::vector<Service>& services);

// Postfix's programs that are not programs here. `runs` is what serves such an entry, or nullptr.
struct KnownProgram {
    const char* name;
    const char* runs;
    ProgramUse use;
    const char* note;
};
const std::vector<KnownProgram>& known_programs();

} // namespace posthouse::config
