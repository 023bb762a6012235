// Settings: what stands in main.cf and in -o options, with file and line, and the table's defaults
// behind it. Config is the checked and expanded view of this; postconf looks here for what was written.
#pragma once

#include "lib/config/expand.h"
#include "lib/config/fault.h"
#include "lib/config/host.h"
#include "lib/config/params.h"

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::config {

class Overrides;

struct Setting {
    std::string name;
    std::string value;   // what holds
    std::string written; // as in the file; differs for a value that names a file
    std::string file;
    int line = 0;
};

class Settings final : public Names {
public:
    Settings(std::string directory, Host host) : directory_(std::move(directory)), host_(std::move(host)) {}

    // Each adds its faults to the list and goes on.
    void add_main_cf(std::string_view text, const std::string& file, std::vector<Fault>& faults);
    void add_overrides(const Overrides& overrides, std::vector<Fault>& faults);
    void read_named_files(std::vector<Fault>& faults); // myorigin = /etc/mailname
    bool drop(std::string_view name); // as if it had not been set; false when it was not. Before evaluate()
    // Names that are used elsewhere (master.cf), so that setting them in main.cf is no mistake.
    void note_references(std::string_view text);
    // Expands and checks everything. Afterwards value_of() holds for each row of the table.
    void evaluate(std::vector<Fault>& faults);

    // What was set, whether the table knows the name or not; sorted by name.
    const std::map<std::string, Setting, std::less<>>& given() const { return given_; }
    const Setting* find(std::string_view name) const;
    // Expanded value of a row of the table; nullptr when it has no such row.
    const std::string* value_of(std::string_view name) const;
    // A default as written: computed where the table says so.
    std::string default_of(const Parameter& parameter) const;
    const std::string& directory() const { return directory_; }
    // Does the table know the name, or anything refer to it? Setting any other name is a mistake.
    bool has_a_use(std::string_view name) const;
    static std::string unknown_name_text(std::string_view name); // with the nearest known one

    std::optional<std::string> unexpanded(std::string_view name) const override;

private:
    void add(Setting setting, std::vector<Fault>& faults, bool may_repeat);
    void evaluate_row(const Parameter& parameter, std::vector<Fault>& faults);
    void evaluate_user_defined(std::vector<Fault>& faults);
    // The expanded value of `name`, or nullopt after noting why there is none.
    std::optional<std::string> evaluate_name(std::string_view name, const Setting* setting, std::vector<Fault>& faults);
    void warn_of_unknown(std::vector<Fault>& faults) const;
    void warn_of_undefined(std::vector<Fault>& faults) const;
    std::string computed(std::string_view name) const;
    std::string domain_of_host() const;
    std::string expanded_or_empty(std::string_view name) const;

    std::string directory_;
    Host host_;
    std::map<std::string, Setting, std::less<>> given_;
    std::map<std::string_view, std::string, std::less<>> values_; // keys point into the table
    std::set<std::string, std::less<>> referenced_;
    std::map<std::string, const Setting*, std::less<>> undefined_; // name -> who refers to it
    std::vector<Fault> inherited_; // faults of values that refer to a faulty one
    std::set<std::string, std::less<>> defined_elsewhere_;
    mutable bool computing_domain_ = false;
};

} // namespace posthouse::config
