// main.cf, and what postconf does to it, from any bytes: no crash, no endless work, and a configuration that is
// accepted has a proper value for every parameter.
#include "lib/config/config.h"
#include "lib/config/params.h"
#include "lib/config/value.h"
#include "tools/config_edit.h"

#include <cstdint>
#include <cstdlib>

using namespace posthouse;
using namespace posthouse::config;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    if (size > 20000)
        return 0;
    std::string_view text(reinterpret_cast<const char*>(data), size);
    std::vector<Fault> faults;
    auto config = Config::parse(text, Overrides(), faults);
    if (config) {
        for (const Parameter& parameter : parameters())
            if (complaint_about(parameter, (*config)->text(parameter.name)))
                abort();
        (void)later_features_set(**config); // it must not crash
    } else if (faults.empty()) {
        abort();
    }
    (void)tools::edit_main_cf(text, tools::EditAction::Set, {{"relayhost", "x"}});
    return 0;
}
