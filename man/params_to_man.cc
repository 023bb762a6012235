// Prints the table of parameters as roff, when the manual pages are made:
//   params_to_man            all of them, for main.cf(5)
//   params_to_man PROGRAM    those that a program uses, to stand in its own page
// It says nothing that is not in lib/config/params_*.cc.
#include "lib/base/ascii.h"
#include "lib/base/cat.h"
#include "lib/config/params.h"

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

using namespace posthouse;
using config::Kind;
using config::Parameter;
namespace use = config::use;

namespace {

struct Program {
    std::string_view name;
    uint32_t bit;
};
constexpr Program programs[] = {
    {"local", use::Local}, {"master", use::Master}, {"pickup", use::Pickup}, {"qmgr", use::Qmgr},
    {"smtp", use::Smtp},   {"smtpd", use::Smtpd},   {"virtual", use::Local},
};

std::string escaped(std::string_view text)
{
    constexpr size_t longest_word = 40; // may be broken there
    std::string out;
    size_t word = 0;
    for (char c : text) {
        word = c == ' ' ? 0 : word + 1;
        if (word > longest_word) {
            out += "\\:";
            word = 1;
        }
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            out += "\\-";
        else
            out += c;
    }
    return out;
}

// Hyphens within words of a sentence stay hyphens.
std::string prose(std::string_view text)
{
    std::string out;
    for (char c : text)
        out += c == '\\' ? "\\e" : std::string(1, c);
    return out.starts_with('.') || out.starts_with('\'') ? "\\&" + out : out;
}

std::string words_of(const Parameter& parameter)
{
    std::string out;
    auto words = ascii::split(parameter.min, "|");
    for (size_t i = 0; i < words.size(); ++i)
        append_to(out, i == 0 ? "" : i + 1 == words.size() ? " or " : ", ", words[i]);
    return out + (parameter.min.ends_with('|') ? ", or empty" : "");
}

std::string range_of(const Parameter& parameter)
{
    if (!parameter.min.empty() && !parameter.max.empty())
        return cat(", ", parameter.min, " to ", parameter.max);
    if (!parameter.min.empty() && parameter.min != "0" && parameter.min != "0s")
        return cat(", at least ", parameter.min);
    return parameter.max.empty() ? "" : cat(", at most ", parameter.max);
}

std::string form_of(const Parameter& parameter)
{
    switch (parameter.kind) {
    case Kind::Boolean: return "yes or no";
    case Kind::Number: return cat("number", range_of(parameter));
    case Kind::Size: return cat("size", range_of(parameter));
    case Kind::Time: return cat("time", range_of(parameter));
    case Kind::List: return "list";
    case Kind::Tables: return "tables";
    case Kind::Choice: return words_of(parameter);
    case Kind::Level: return "level";
    case Kind::Raw: return "text, expanded when it is used";
    case Kind::Text:
    case Kind::TextOrFile: return "";
    }
    return "";
}

void print_entry(const Parameter& parameter, bool with_form)
{
    std::string_view def = parameter.def.empty() ? "empty" : parameter.def;
    if (parameter.computed())
        def = parameter.def.substr(1, parameter.def.size() - 2);
    printf(".TP\n\\fB%s\\fR (default: %s)\n%s\n", escaped(parameter.name).c_str(), escaped(def).c_str(),
           prose(parameter.meaning).c_str());
    std::string form = with_form ? form_of(parameter) : "";
    if (!form.empty())
        printf("[%s]\n", prose(form).c_str());
}

bool in_effect(const Parameter& parameter)
{
    return !parameter.later() && !parameter.unused();
}

void print_names(const std::vector<std::string_view>& names)
{
    printf(".PP\n");
    for (size_t i = 0; i < names.size(); ++i)
        printf("%s%s\n", escaped(names[i]).c_str(), i + 1 == names.size() ? "." : ",");
}

void print_all()
{
    printf(".SH PARAMETERS\n");
    for (const Parameter& parameter : config::parameters())
        if (in_effect(parameter))
            print_entry(parameter, true);
    printf(".SH \"LIMITS OF ONE TRANSPORT\"\nEach of these is also known with the name of a transport from \\fBmaster.cf\\fR(5) "
           "before it, as in relay_destination_concurrency_limit; its default is the parameter behind the colon.\n");
    for (const config::TransportSuffix& suffix : config::transport_suffixes())
        printf(".br\n\\fITRANSPORT\\fR%s: %s\n", escaped(suffix.suffix).c_str(), escaped(suffix.default_name).c_str());
    printf(".SH \"PARAMETERS OF FEATURES TO COME\"\nThese are read and checked, but have no effect yet; "
           "\\fBposthouse\\fR(1) check names those that are set.\n");
    for (const Parameter& parameter : config::parameters())
        if (parameter.later())
            print_entry(parameter, false);
    printf(".SH \"PARAMETERS WITHOUT EFFECT\"\nThese tune parts of Postfix that have no counterpart here. They may stay in a "
           "main.cf that was written for it.\n");
    for (const Parameter& parameter : config::parameters())
        if (parameter.unused())
            print_entry(parameter, false);
}

int print_for(std::string_view name)
{
    const Program* program = nullptr;
    for (const Program& candidate : programs)
        if (candidate.name == name)
            program = &candidate;
    if (program == nullptr) {
        fprintf(stderr, "params_to_man: no such program: %.*s\n", static_cast<int>(name.size()), name.data());
        return 1;
    }
    std::vector<std::string_view> common;
    printf(".SH \"CONFIGURATION PARAMETERS\"\nChanges of \\fBmain.cf\\fR(5) take effect after \"posthouse reload\".\n");
    for (const Parameter& parameter : config::parameters()) {
        if (!in_effect(parameter) || (parameter.used & program->bit) == 0)
            continue;
        if ((parameter.used & use::All) == use::All)
            common.push_back(parameter.name);
        else
            print_entry(parameter, false);
    }
    printf(".PP\nParameters that all programs share, see \\fBmain.cf\\fR(5):\n");
    print_names(common);
    return 0;
}

} // namespace

int main(int argc, char** argv)
{
    if (argc == 2)
        return print_for(argv[1]);
    print_all();
    return 0;
}
