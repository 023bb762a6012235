// postconf's command line: see postconf_options.h.
#include "tools/postconf_options.h"

#include "lib/base/ascii.h"
#include "lib/base/cat.h"

#include <algorithm>
#include <cstdio>
#include <unistd.h>

namespace posthouse::postconf {

namespace {

using tools::EditAction;

struct Refused {
    char letter;
    const char* text;
};
// Taken silently, they would let a script believe that it had got what it asked for.
constexpr Refused refused[] = {
    {'a', "authentication is not part of this program; see auth in main.cf(5)"},
    {'A', "clients know the mechanisms that main.cf(5) names; there are no plug-ins"},
    {'b', "notices have a fixed text; there is no bounce_template_file"},
    {'j', "there is no JSON output; use -n or -M, a line for each item"},
    {'t', "notices have a fixed text; there is no bounce_template_file"},
    {'T', "see \"openssl version -a\" for the TLS library"},
};

bool add_classes(std::string_view words, unsigned& classes)
{
    classes = 0;
    for (const std::string_view word : ascii::split(words, ", \t")) {
        if (word == "builtin")
            classes |= Builtin;
        else if (word == "service")
            classes |= OfService;
        else if (word == "user")
            classes |= User;
        else if (word == "all")
            classes |= AllClasses;
        else
            return false;
    }
    return classes != 0;
}

bool complain(std::string_view text)
{
    fprintf(stderr, "postconf: %.*s\n", static_cast<int>(text.size()), text.data());
    return false;
}

bool take_action(int letter, Options& options)
{
    const EditAction action = letter == 'e'   ? EditAction::Set
                              : letter == 'X' ? EditAction::Remove
                                              : EditAction::CommentOut;
    if (options.edit && *options.edit != action)
        return complain("only one of -e, -# and -X");
    options.edit = action;
    return true;
}

bool take_subject(Subject subject, Options& options)
{
    if (options.subject != Subject::Parameters && options.subject != subject)
        return complain("only one of -F, -l, -M, -m and -P");
    options.subject = subject;
    return true;
}

bool take_letter(int letter, Options& options)
{
    for (const Refused& one : refused)
        if (one.letter == letter)
            return complain(cat('-', one.letter, ": ", one.text));
    switch (letter) {
    case 'c': options.directory = optarg; return true;
    case 'C': return add_classes(optarg, options.classes) || complain("-C: expected builtin, service, user or all");
    case 'd': options.defaults = true; return true;
    case 'f': options.fold = true; return true;
    case 'F': return take_subject(Subject::ServiceFields, options);
    case 'h': options.with_name = false; return true;
    case 'H': options.with_value = false; return true;
    case 'l': return take_subject(Subject::LockMethods, options);
    case 'M': return take_subject(Subject::Services, options);
    case 'm': return take_subject(Subject::TableTypes, options);
    case 'n': options.only_set = true; return true;
    case 'o': return options.overrides.add_option(optarg) || complain("-o: expected name=value");
    case 'P': return take_subject(Subject::ServiceOptions, options);
    case 'q': options.quiet = true; return true;
    case 'x': options.expand = true; return true;
    case 'e': case '#': case 'X': return take_action(letter, options);
    case 'p': case 'v': return true;
    default: return false; // getopt has said it
    }
}

// What does not go together.
bool consistent(const Options& options)
{
    const bool lists = options.defaults || options.only_set || options.expand;
    if (options.defaults && options.only_set)
        return complain("only one of -d and -n");
    if (!options.edit)
        return true;
    if (lists || options.subject >= Subject::TableTypes)
        return complain("a change goes with -F, -M or -P, and with none of -d, -l, -m, -n and -x");
    if (options.names.empty())
        return complain("expected what to change");
    if (options.subject == Subject::ServiceFields && *options.edit != EditAction::Set)
        return complain("-F goes with -e; to remove an entry, use -M");
    if (options.subject == Subject::ServiceOptions && *options.edit == EditAction::CommentOut)
        return complain("-P goes with -e and -X: an option cannot be made a comment");
    return true;
}

} // namespace

std::optional<Options> parse(int argc, char** argv)
{
    Options options;
    for (int letter = 0; (letter = getopt(argc, argv, "#aAbc:C:defFhHjlMmno:PpqtT:vXx")) != -1;)
        if (!take_letter(letter, options))
            return std::nullopt;
    options.directory = config::Config::directory_from(options.directory);
    options.names.assign(argv + optind, argv + argc);
    // "postconf name=value" is an edit without saying so.
    const bool assigns = std::any_of(options.names.begin(), options.names.end(),
                                     [](const std::string& name) { return name.find('=') != std::string::npos; });
    if (assigns && !options.edit)
        options.edit = EditAction::Set;
    if (!consistent(options))
        return std::nullopt;
    return options;
}

int fail(const Error& error)
{
    fprintf(stderr, "postconf: fatal: %s\n", error.full_text().c_str());
    return 1;
}

void warn(const std::string& text) { fprintf(stderr, "postconf: warning: %s\n", text.c_str()); }

} // namespace posthouse::postconf
