// Config: the parameters of one instance, from DIR/main.cf, -o options and the table of defaults
// (params.h). Every program reads it once at start and copies what it needs into a plain struct.
// Values are expanded ($name) and checked when the file is read, so that the getters cannot fail;
// asking for a name that is not in the table is a bug and panics. Nothing here suspends.
#pragma once

#include "lib/base/result.h"
#include "lib/base/time.h"
#include "lib/config/fault.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace posthouse::config {

// The -o name=value options of a command line or a master.cf entry, in order; the last one wins.
class Overrides {
public:
    using Pair = std::pair<std::string, std::string>;
    Overrides() = default;
    explicit Overrides(std::vector<Pair> pairs) : pairs_(std::move(pairs)) {}

    void add(std::string name, std::string value) { pairs_.emplace_back(std::move(name), std::move(value)); }
    // "name=value" or "{ name = value }", as after -o.
    Result<void> add_option(std::string_view option);
    const std::vector<Pair>& pairs() const { return pairs_; }
    bool empty() const { return pairs_.empty(); }
    friend bool operator==(const Overrides&, const Overrides&) = default;

private:
    std::vector<Pair> pairs_;
};

class Settings;

class Config {
public:
    // Reads DIR/main.cf. `faults` gets everything that is wrong, warnings too; a Config with a fault
    // that is more than a warning is not returned.
    static Result<std::unique_ptr<Config>> load(const std::string& directory, const Overrides& overrides,
                                                std::vector<Fault>& faults);
    // The same, also with faults: a value that has one is empty or as it stands. For going on to look for
    // further faults and for finding the log; ask it only for text().
    static Result<std::unique_ptr<Config>> load_with_faults(const std::string& directory, const Overrides& overrides,
                                                            std::vector<Fault>& faults);
    // With faults, and whole all the same: a value that has one is the default, as if it had not been set. For going on
    // to look for faults of the rest. An Error when main.cf cannot be read, or even so nothing whole comes of it.
    static Result<std::unique_ptr<Config>> load_what_is_sound(const std::string& directory, const Overrides& overrides,
                                                              std::vector<Fault>& faults);
    // From text instead of a file, with a made-up host (see Host): for tests and tools.
    static Result<std::unique_ptr<Config>> parse(std::string_view main_cf, const Overrides& overrides,
                                                 std::vector<Fault>& faults);
    // The directory that -c, or else MAIL_CONFIG, or else the build names.
    static std::string directory_from(std::string_view c_option);
    ~Config();
    Config(const Config&) = delete;
    Config& operator=(const Config&) = delete;

    // The references live as long as the Config.
    const std::string& text(std::string_view name) const;
    bool boolean(std::string_view name) const;
    int64_t number(std::string_view name) const; // sizes too, in bytes
    Duration duration(std::string_view name) const;
    // Split at commas and white space; { } stays together and keeps its braces; files are not opened.
    std::vector<std::string> list(std::string_view name) const;

    // TRANSPORT + "_destination_concurrency_limit" and its like: the transport's own parameter when
    // main.cf or the table has it, else the default for all transports.
    int64_t transport_number(std::string_view transport, std::string_view suffix) const;
    Duration transport_duration(std::string_view transport, std::string_view suffix) const;
    std::string transport_text(std::string_view transport, std::string_view suffix) const;

    bool is_set(std::string_view name) const;                    // given in main.cf or by -o
    std::optional<std::string> any(std::string_view name) const; // user-defined names too; expanded
    // Expands $name in a text from elsewhere (master.cf). An unknown name is empty; a text that does
    // not parse comes back as it is.
    std::string expand(std::string_view text) const;
    const std::string& directory() const; // config_directory
    // A fault of this parameter's value, at the file and line where it was set.
    Fault fault_of(std::string_view name, std::string text, bool warning = false) const;

    // For the tools: what was given and where.
    const Settings& settings() const { return *settings_; }

private:
    explicit Config(std::unique_ptr<Settings> settings);
    std::unique_ptr<Settings> settings_;
};

// How to split a list value; also for other texts in the same syntax.
std::vector<std::string> split_list(std::string_view value);

// Parameters set in main.cf whose feature does not exist yet, or never will here: one sentence for each.
struct Notice {
    std::string file;
    int line;
    std::string parameter;
    std::string text;
};
std::vector<Notice> later_features_set(const Config& config);

} // namespace posthouse::config
