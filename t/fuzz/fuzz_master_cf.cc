// master.cf, what postconf does to it, and $name in a service's options, from any bytes. Apart from main.cf's target,
// which evaluates every parameter for each input: this one does so once, and so tries a hundred times as many inputs.
#include "lib/config/config.h"
#include "lib/config/master_cf.h"
#include "tools/config_edit.h"

#include <cstdint>
#include <cstdlib>
#include <memory>

using namespace posthouse;
using namespace posthouse::config;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    if (size > 20000)
        return 0;
    static const std::unique_ptr<Config> plain = [] {
        std::vector<Fault> none;
        auto config = Config::parse("", Overrides(), none);
        if (!config)
            abort();
        return std::move(*config);
    }();
    std::string_view text(reinterpret_cast<const char*>(data), size);
    std::vector<Fault> faults;
    if (!parse_master_cf(text, "master.cf", *plain, faults) && faults.empty())
        abort();
    (void)plain->expand(text); // it must not crash
    auto entries = tools::read_master_entries(text);
    if (!entries.empty()) {
        entries.front().set_option("a", "b c");
        (void)entries.front().to_text(true);
    }
    return 0;
}
