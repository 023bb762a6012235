// receive_override_options: see override_options.h.
#include "lib/queue/override_options.h"

#include "lib/base/ascii.h"

#include <algorithm>
#include <iterator>

namespace posthouse::queue {

OverrideOptions::OverrideOptions(const config::Config& config)
{
    struct Name {
        const char* name;
        bool OverrideOptions::*flag;
    };
    constexpr Name names[] = {
        {"no_unknown_recipient_checks", &OverrideOptions::no_unknown_recipient_checks},
        {"no_address_mappings", &OverrideOptions::no_address_mappings},
        {"no_header_body_checks", &OverrideOptions::no_header_body_checks},
        {"no_milters", &OverrideOptions::no_milters},
    };
    for (std::string& word : config.list("receive_override_options")) {
        const auto* found =
            std::find_if(std::begin(names), std::end(names), [&](const Name& n) { return ascii::equal(n.name, word); });
        if (found == std::end(names))
            unknown.push_back(std::move(word));
        else
            this->*found->flag = true;
    }
}

} // namespace posthouse::queue
